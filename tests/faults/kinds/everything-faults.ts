import { setTimeout as sleep } from 'node:timers/promises';
import type { RunningProcess } from '../../kit/process/running-process.ts';
import { expectThat } from '../expect-that.ts';
import type { Fault } from '../fault.ts';

// The broker's own timeout for dead letters on their way, 15 s where we configured it, decides.
const WITH_DEAD_LETTER_TIMEOUT = 60;

const QUIET_CARRIER = {
  seed: 1,
  meanProcessingMs: 20,
  distribution: 'exponential',
  failureRate: 0.05,
  permanentFailureShare: 0,
} as const;

// The recorder gives its messages back after a minute: two minutes show that as well as ten.
const OUTAGES = [
  { store: 'S3', minutes: 2, runs: 5 },
  { store: 'S3', minutes: 10, runs: 1 },
  { store: 'Redis', minutes: 10, runs: 1 },
] as const;

export const EVERYTHING_FAULTS: readonly Fault[] = [
  {
    name: 'everything-restarted',
    title: 'RabbitMQ, Redis, S3 and the senders are ended in random order and started in random order',
    runs: 50,
    isAloneOnRabbitMq: true,
    recoversWithinSeconds: WITH_DEAD_LETTER_TIMEOUT,
    async inject(run) {
      const senders = await Promise.all([run.startSender(), run.startSender()]);
      await run.produce();
      await run.pause(0, 2_000);
      const signal = () => run.random.oneOf(['SIGKILL', 'SIGKILL', 'SIGTERM'] as const);
      const ends: (() => Promise<unknown>)[] = [
        () => run.servers.rabbitMq.stop({ signal: signal() }),
        () => run.redis.stop({ signal: signal() }),
        () => run.servers.s3.stop({ signal: 'SIGKILL' }),
        ...senders.map((sender) => async () => sender.stop('SIGKILL')),
      ];
      for (const end of run.random.shuffled(ends)) {
        await end();
        await run.pause(0, 300);
      }
      const starts: (() => Promise<unknown>)[] = [
        () => run.servers.rabbitMq.start(),
        () => run.redis.start(),
        () => run.servers.s3.start(),
        // It waits for RabbitMQ by itself, for 30 s.
        async () => run.spawnSender(),
        async () => run.spawnSender(),
      ];
      for (const start of run.random.shuffled(starts)) await start();
    },
  },
  {
    name: 'soak',
    title: 'two minutes of load under random faults of senders, Redis, S3 and connections',
    runs: 2,
    settings: { smsCount: 3_000, concurrency: 10 },
    async inject(run) {
      await Promise.all([run.startSender(), run.startSender()]);
      const produced = run.produce(['--rate', '30']);
      const endAtMs = Date.now() + 110_000;
      const faults: (() => Promise<unknown>)[] = [
        async () => {
          await run.random.oneOf(run.livingSenders()).stop(run.random.oneOf(['SIGKILL', 'SIGTERM'] as const));
          await run.startSender();
        },
        async () => run.amqpProxy.cut(),
        async () => run.redisProxy.cut(),
        async () => run.redisCommand('FLUSHALL'),
        async () => {
          await run.redis.stop({ signal: 'SIGKILL' });
          await run.pause(0, 2_000);
          await run.redis.start();
        },
        async () => {
          run.s3Proxy.inject(() => (run.random.roll() < 0.5 ? { kind: 'lose-reply' } : undefined));
          await run.pause(500, 4_000);
          run.s3Proxy.heal();
        },
        async () => {
          await run.s3Proxy.close();
          await run.pause(500, 4_000);
          await run.s3Proxy.open();
        },
      ];
      while (Date.now() < endAtMs) {
        await run.random.oneOf(faults)();
        await run.pause(500, 5_000);
      }
      await produced;
    },
  },
  ...OUTAGES.map(
    ({ store, minutes, runs }): Fault => ({
      name: `${store.toLowerCase()}-away-${minutes}m`,
      title: `${store} is away for ${minutes} minutes at 200 SMS/s: sending goes on, memory stays`,
      runs,
      isCrashFree: true,
      settings: { smsCount: 200 * (minutes * 60 + 50), concurrency: 50, simulation: QUIET_CARRIER },
      async inject(run) {
        const sender = await run.startSender({ OUTCOME_BATCH_SIZE: '5000', OUTCOME_BATCH_SECONDS: '1' });
        const producer = run.spawnProducer(['--rate', '200']);
        // What it needs at this load before anything is wrong.
        await run.waitForAttempts(5_000);
        const proxy = store === 'S3' ? run.s3Proxy : run.redisProxy;
        const before = await highestResidentBytes(sender, 15_000);
        await proxy.close();
        const during = await highestResidentBytes(sender, minutes * 60_000);
        await run.finishProducing(producer);
        await proxy.open();
        run.note(
          `resident before ${megabytes(before)} MB, at most ${megabytes(during)} MB during the outage`,
        );
        expectThat(
          during - before < 50e6,
          `memory grew from ${megabytes(before)} to ${megabytes(during)} MB`,
        );
        expectThat(!sender.hasEnded, 'the sender ended');
      },
    }),
  ),
];

/** The most memory that a process has resident during that time. */
async function highestResidentBytes(process: RunningProcess, forMs: number): Promise<number> {
  let highest = 0;
  for (const endAtMs = Date.now() + forMs; Date.now() < endAtMs; await sleep(500))
    highest = Math.max(highest, process.residentBytes());
  return highest;
}

function megabytes(bytes: number): number {
  return Math.round(bytes / 1e6);
}
