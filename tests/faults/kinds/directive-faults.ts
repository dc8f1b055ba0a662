import type { Fault } from '../fault.ts';
import type { FaultRun } from '../fault-run.ts';
import type { RunSettings } from '../run-settings.ts';

// Most attempts fail, and the waits are long enough for a command to find SMS that wait.
const WAITING: Partial<RunSettings> = {
  smsCount: 120,
  schedule: [4_000, 6_000],
  simulation: {
    ...{ seed: 1, meanProcessingMs: 25, distribution: 'exponential', failureRate: 0.7 },
    permanentFailureShare: 0.05,
  },
};

async function cancelAndSendNow(run: FaultRun): Promise<void> {
  await run.cancel(run.someIds(25));
  await run.retryNow(run.someIds(25));
}

export const DIRECTIVE_FAULTS: readonly Fault[] = [
  {
    name: 'directed-sender-killed',
    title: 'SMS are cancelled and sent now while their sender is killed and what it had in hand comes again',
    runs: 20,
    recoversWithinSeconds: 60,
    settings: WAITING,
    async inject(run) {
      const [sender] = await Promise.all([run.startSender(), run.startSender(), run.produce()]);
      await run.waitForAttempts(run.random.between(10, 120));
      const directed = cancelAndSendNow(run);
      await run.pause(0, 4_000);
      await sender.stop('SIGKILL');
      await run.pause(0, 1_000);
      await run.startSender();
      await directed;
      await cancelAndSendNow(run);
    },
  },
  {
    name: 'directed-redis-emptied',
    title: 'Redis is emptied while it holds what was cancelled, and one of two senders starts anew',
    runs: 20,
    recoversWithinSeconds: 60,
    settings: WAITING,
    async inject(run) {
      const [sender] = await Promise.all([run.startSender(), run.startSender(), run.produce()]);
      await run.waitForAttempts(run.random.between(10, 120));
      await run.cancel(run.someIds(40));
      await run.redisCommand('FLUSHALL');
      await run.pause(1_500, 3_000);
      await sender.stop(run.random.between(0, 1) === 0 ? 'SIGKILL' : 'SIGTERM');
      await run.startSender();
    },
  },
];
