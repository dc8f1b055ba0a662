import { setTimeout as sleep } from 'node:timers/promises';
import { CRASH_POINTS } from '../../kit/faulty-sender/injected-faults.ts';
import { expectThat } from '../expect-that.ts';
import type { Fault } from '../fault.ts';
import type { FaultRun } from '../fault-run.ts';

// Longer than the 15 s after which others take a recorder for dead.
const PAST_HEARTBEAT_MS = 18_000;

async function startLoad(run: FaultRun, senderCount = 1, environment: Record<string, string> = {}) {
  const senders = await Promise.all(Array.from({ length: senderCount }, () => run.startSender(environment)));
  await run.produce();
  return senders;
}

function crashFault([point, passages]: [string, number]): Fault {
  return {
    name: `crash-${point}`,
    title: `a sender dies exactly at the point ${point}`,
    runs: 20,
    async inject(run) {
      const isRebuild = point === 'counters-half-rebuilt';
      const victim = await run.startSender({
        REDIAL_CRASH_POINT: `${point}:${run.random.between(1, passages)}`,
      });
      await run.produce();
      if (isRebuild) {
        // Something must be there to be rebuilt from.
        await run.waitForAttempts(run.settings.smsCount / 2);
        await run.redisCommand('FLUSHALL');
      }
      const { signal } = await victim.ended;
      expectThat(signal === 'SIGKILL', `the sender was to die at ${point}, it ended with ${signal}`);
      await run.startSender();
    },
  };
}

export const SENDER_FAULTS: readonly Fault[] = [
  {
    name: 'sender-killed',
    title: 'a sender is killed at a random moment under load, and started again',
    runs: 300,
    async inject(run) {
      const [sender] = await startLoad(run);
      await run.pause(0, 2_500);
      await sender?.stop('SIGKILL');
      await run.startSender();
    },
  },
  {
    name: 'all-senders-killed',
    title: 'three senders are killed at once',
    runs: 20,
    async inject(run) {
      const senders = await startLoad(run, 3);
      await run.pause(0, 1_200);
      await Promise.all(senders.map((sender) => sender.stop('SIGKILL')));
      await Promise.all([run.startSender(), run.startSender()]);
    },
  },
  ...Object.entries(CRASH_POINTS).map(crashFault),
  {
    name: 'sender-frozen',
    title: 'one of two senders is frozen past its heartbeat, and thawed when the other has taken over',
    runs: 10,
    async inject(run) {
      const [frozen] = await startLoad(run, 2);
      await run.pause(0, 1_000);
      frozen?.signal('SIGSTOP');
      await sleep(PAST_HEARTBEAT_MS);
      frozen?.signal('SIGCONT');
    },
  },
  {
    name: 'sender-terminated',
    title: 'SIGTERM under load: it drains, exit 0, no attempt repeated',
    runs: 50,
    isCrashFree: true,
    async inject(run) {
      const [sender] = await startLoad(run);
      await run.pause(0, 2_500);
      const startedAtMs = Date.now();
      const ended = await sender?.stop('SIGTERM');
      expectThat(
        ended?.exitCode === 0,
        `SIGTERM ended with ${ended?.exitCode}: ${sender?.stdout.slice(-500)}`,
      );
      expectThat(Date.now() - startedAtMs < 30_000, 'draining took longer than the shutdown timeout');
      run.expected.noRepeats();
      await run.startSender();
    },
  },
  {
    name: 'sender-terminated-too-slow',
    title: 'SIGTERM with a shutdown timeout shorter than a send: exit 1, the number left is said',
    runs: 10,
    settings: { smsCount: 40 },
    async inject(run) {
      const slow = await run.startSender({
        MEAN_PROCESSING_TIME: '20',
        PROCESSING_TIME_DISTRIBUTION: 'constant',
        SHUTDOWN_TIMEOUT: '0.5',
      });
      await run.produce();
      await run.pause(500, 1_500);
      const { exitCode } = await slow.stop('SIGTERM');
      expectThat(exitCode === 1, `it ended with ${exitCode}`);
      expectThat(
        /not drained within SHUTDOWN_TIMEOUT: \d+ SMS/.test(slow.stdout),
        'the number left was not said',
      );
      await run.startSender();
    },
  },
  {
    name: 'rolling-change',
    title: 'failure rate and schedule change from one sender to the next while SMS wait',
    runs: 10,
    isCrashFree: true,
    async inject(run) {
      const [older] = await startLoad(run);
      await run.pause(300, 1_500);
      const changed = run.changeConditions({
        failureRate: run.random.roll() * 0.6,
        schedule: run.random.oneOf([[100], [300, 300, 600], [200, 400, 500, 500]]),
      });
      // Both at once for a while, as in a rolling deployment.
      await run.startSender(changed);
      await run.pause(0, 500);
      await older?.stop('SIGTERM');
    },
  },
  {
    name: 'slow-recorder-alive',
    title: 'two recorders meet the same outcomes while the first is alive but slow',
    runs: 10,
    async inject(run) {
      const slowWay = await run.openS3Way();
      const slow = await run.startSender({ AWS_ENDPOINT_URL: slowWay.endpoint });
      slowWay.inject((method) => (method === 'PUT' ? { kind: 'slow', delayMs: 4_000 } : undefined));
      await run.produce();
      await run.waitForAttempts(100);
      await run.startSender();
      // The journal messages that the slow one holds go to the other one; its claims stay.
      await run.killConnections('recorder');
      await run.pause(1_000, 6_000);
      slowWay.heal();
      await slow.says('RabbitMQ is back');
    },
  },
  {
    name: 'poison-message',
    title: 'an SMS that kills its sender at every start is parked after five starts, its neighbours are not',
    runs: 10,
    // A supervisor starts the sender again and again: five redeliveries, then five starts of its own.
    settings: { smsCount: 120 },
    async inject(run) {
      const poison = run.idOf(run.random.between(1, 120));
      run.expected.park([poison]);
      await run.produce();
      for (let deaths = 0; deaths < 40; deaths += 1) {
        const sender = run.spawnSender({ REDIAL_POISON: poison });
        const isParked = await run.isParkedBefore(sender);
        if (isParked) return;
      }
      throw new Error('the poison message was not parked after 40 deaths');
    },
  },
];
