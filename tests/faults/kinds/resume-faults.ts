/** A run of 5,000 SMS is interrupted and resumed: what is published twice is at most what was on its way. */

import type { RunningProcess } from '../../kit/process/running-process.ts';
import { TcpProxy } from '../../kit/rabbitmq/tcp-proxy.ts';
import { expectThat } from '../expect-that.ts';
import type { Fault } from '../fault.ts';
import type { FaultRun } from '../fault-run.ts';
import type { RunSettings } from '../run-settings.ts';
import { SmsTap } from '../servers/sms-tap.ts';

const SMS_COUNT = 5_000;
// What the producer publishes ahead of its announcements.
const MAX_REPEATED = 2_000;

const SETTINGS: Partial<RunSettings> = {
  smsCount: SMS_COUNT,
  simulation: {
    ...{ seed: 1, meanProcessingMs: 1, distribution: 'exponential' },
    ...{ failureRate: 0.02, permanentFailureShare: 0.1 },
  },
  concurrency: 200,
  environment: { OUTCOME_BATCH_SIZE: '2000' },
};

export const RESUME_FAULTS: readonly Fault[] = [
  {
    name: 'run-resumed-after-sigint',
    title: 'a run is interrupted by SIGINT and resumed: no SMS is published twice',
    runs: 20,
    isCrashFree: true,
    settings: SETTINGS,
    inject: (run) =>
      interruptAndResume(run, async (first, tap) => {
        const { exitCode } = await first.stop('SIGINT');
        if (exitCode === 0) return 'it had ended';
        expectThat(exitCode === 130, `SIGINT ended the producer with ${exitCode}: ${first.stderr}`);
        const { accepted } = JSON.parse(first.stdout) as { accepted: number };
        return `after ${accepted}, ${tap.distinctCount} published`;
      }),
  },
  {
    name: 'run-resumed-after-sigkill',
    title: 'a producer is killed and its run resumed: at most 2,000 SMS are published twice',
    runs: 20,
    settings: SETTINGS,
    inject: (run) =>
      interruptAndResume(run, async (first, tap) => {
        const { signal } = await first.stop('SIGKILL');
        return signal === null ? 'it had ended' : `${tap.distinctCount} published`;
      }),
  },
  {
    name: 'run-resumed-after-lost-connection',
    title: 'a producer loses its connection and goes on: at most 2,000 SMS are published twice',
    runs: 20,
    isCrashFree: true,
    settings: SETTINGS,
    inject: (run) =>
      interruptAndResume(run, async (first, tap, proxy) => {
        proxy.cut();
        const { exitCode } = await first.ended;
        expectThat(exitCode === 0, `it ended with ${exitCode}: ${first.stderr}`);
        return `${tap.distinctCount} published`;
      }),
  },
];

async function interruptAndResume(
  run: FaultRun,
  interrupt: (first: RunningProcess, tap: SmsTap, proxy: TcpProxy) => Promise<string>,
): Promise<void> {
  await run.startSender();
  const proxy = await new TcpProxy(run.servers.rabbitMq.ports.amqp).open();
  const tap = await SmsTap.open(run.servers.rabbitMq.amqpUrl, run.queueName);
  try {
    const rate = run.random.oneOf([[], ['--rate', '10000'], ['--rate', '2000']]);
    const interruptAfter = run.random.between(100, 4_500);
    const first = run.spawnProducer(rate, { RABBITMQ_URL: `amqp://guest:guest@127.0.0.1:${proxy.port}` });
    await tap.seen(interruptAfter);
    const story = await interrupt(first, tap, proxy);
    const second = run.spawnProducer(rate);
    await run.finishProducing(second);
    await run.waitForAttempts(SMS_COUNT);
    judge(
      run,
      tap,
      [first, second],
      `${rate[1] ?? 'any'} SMS/s, interrupted at ${interruptAfter} (${story})`,
    );
  } finally {
    await tap.close();
    await proxy.close();
  }
}

function judge(run: FaultRun, tap: SmsTap, producers: readonly RunningProcess[], story: string): void {
  const { repeatedCount, distinctCount } = tap;
  const saidCount = producers.reduce((sum, { stdout }) => sum + saidIn(stdout), 0);
  run.note(`${story}: ${repeatedCount} SMS published twice, at most ${saidCount} were said`);
  expectThat(distinctCount === SMS_COUNT, `${distinctCount} SMS were published`);
  expectThat(repeatedCount <= MAX_REPEATED, `${repeatedCount} SMS were published twice`);
  expectThat(repeatedCount <= saidCount, `${repeatedCount} SMS were published twice, ${saidCount} were said`);
}

/** How many SMS may be repeated by the summary; a producer that was killed has none. */
function saidIn(stdout: string): number {
  if (stdout === '') return 0;
  return (JSON.parse(stdout) as { mayBeRepeated?: number }).mayBeRepeated ?? 0;
}
