import type { Fault } from '../fault.ts';
import type { FaultRun } from '../fault-run.ts';

// While the broker is gone, a dead letter on its way waits for the broker's own timeout: 15 s where we configured it.
const WITH_DEAD_LETTER_TIMEOUT = 60;
const SECOND_MS = 1_000;

/** All SMS of the run are due between these seconds from now on; each fourth is valid for a moment only. */
async function publishHeld(run: FaultRun, firstSecond: number, lastSecond: number): Promise<void> {
  const nowMs = Date.now();
  await run.publishWishing((smsNumber) => {
    const notBefore = nowMs + run.random.between(firstSecond, lastSecond) * SECOND_MS;
    return smsNumber % 4 === 0
      ? { notBefore, expiresAt: notBefore + run.random.between(1, 5) * SECOND_MS }
      : { notBefore };
  });
}

export const HOLD_FAULTS: readonly Fault[] = [
  {
    name: 'paused-sender-killed',
    title: 'a sender is killed while its carrier takes nothing and the gateway is paused',
    runs: 20,
    settings: { smsCount: 60 },
    async inject(run) {
      const [sender] = await Promise.all([run.startSender({ REDIAL_THROTTLED: '0.1' }), run.produce()]);
      await sender.says('the carrier takes nothing now');
      await run.pause(0, 3_000);
      await sender.stop('SIGKILL');
      await run.startSender();
    },
  },
  {
    name: 'killed-between-holds',
    title: 'a sender dies with SMS on their way from one hold queue to the next',
    runs: 20,
    async inject(run) {
      // All 300 wait in the queue of 4 s first, and then in another one.
      const victim = await run.startSender({
        REDIAL_CRASH_POINT: `retry-confirmed:${run.random.between(301, 500)}`,
      });
      await publishHeld(run, 7, 15);
      await victim.ended;
      await run.startSender();
    },
  },
  {
    name: 'clock-stepped',
    title: 'the clock of one of two senders is stepped back and forth by 5 s while SMS are held',
    runs: 20,
    isCrashFree: true,
    async inject(run) {
      run.expected.stepClocks();
      const everyMs = String(run.random.between(300, 2_500));
      await Promise.all([run.startSender({ REDIAL_CLOCK_STEPS: everyMs }), run.startSender()]);
      await publishHeld(run, 2, 12);
    },
  },
  {
    name: 'held-rabbitmq-killed',
    title: 'RabbitMQ is killed with SMS in its hold queues, and started again on its data',
    runs: 20,
    isAloneOnRabbitMq: true,
    recoversWithinSeconds: WITH_DEAD_LETTER_TIMEOUT,
    async inject(run) {
      await run.startSender();
      await publishHeld(run, 2, 14);
      await run.pause(0, 8_000);
      await run.servers.rabbitMq.stop({ signal: 'SIGKILL' });
      await run.pause(0, 1_000);
      await run.servers.rabbitMq.start();
    },
  },
];
