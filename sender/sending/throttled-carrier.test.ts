/** Senders with a backlog and a carrier of a capacity, in virtual time: how much of the capacity do they use? */
import { expect, test } from 'vitest';
import { Dice } from '../../shared/rehearsal/dice.ts';
import { VirtualTime } from '../../shared/rehearsal/virtual-time.ts';
import { RecordedLog } from '../../tests/kit/recorded-log.ts';
import { OwnCapacity } from '../gateways/simulated/carrier-capacity.ts';
import { SimulatedGateway } from '../gateways/simulated/simulated-gateway.ts';
import { GatewayPause } from './gateway-pause.ts';
import { PauseSharing } from './pause-sharing.ts';

const CONCURRENCY = 100;
const SECONDS = 60;
/** The carrier begins with a full bucket. */
const SKIPPED_SECONDS = 5;

interface Case {
  readonly senders: number;
  readonly capacity: number;
  readonly meanMs: number;
}

/** @returns SMS that the carrier took, per second */
async function takenPerSecond({ senders, capacity, meanMs }: Case): Promise<number> {
  const time = new VirtualTime();
  const dice = new Dice(1);
  const owner = { intercepts: () => false };
  const clock = {
    nowMs: () => 1_000_000 + time.nowMs,
    after(delayMs: number, callback: () => void) {
      const event = time.at(Math.max(1, delayMs), callback, owner);
      return () => {
        event.isCancelled = true;
      };
    },
  };
  const settings = {
    ...{ seed: 1, meanProcessingMs: meanMs, failureRate: 0, permanentFailureShare: 0 },
    distribution: 'exponential',
  } as const;
  const gateway = new SimulatedGateway(settings, clock, new OwnCapacity(() => capacity, clock));
  let sharedUntilMs = 0;
  const pauseBoard = {
    async exchange(ownMs: number) {
      sharedUntilMs = Math.max(sharedUntilMs, clock.nowMs() + ownMs);
      return sharedUntilMs - clock.nowMs();
    },
  };
  let taken = 0;
  let smsCount = 0;
  const startSender = () => {
    let sending = 0;
    const send = async (id: string, sendNumber: number) => {
      const result = await gateway.send({ id, run: 'demo', to: '+15550100001', text: 'hello' }, 1);
      sending -= 1;
      if (result.kind === 'throttled') pause.noteThrottled(sendNumber, result.untilMs);
      else {
        pause.noteTaken(sendNumber);
        if (time.nowMs >= SKIPPED_SECONDS * 1_000) taken += 1;
      }
      sendNext();
    };
    const sendNext = () => {
      while (sending < CONCURRENCY && pause.mayBegin()) {
        sending += 1;
        smsCount += 1;
        void send(`demo-${smsCount}`, pause.begin());
      }
    };
    const pause: GatewayPause = new GatewayPause({
      ...{ clock, random: () => dice.roll(), log: new RecordedLog(), concurrency: CONCURRENCY },
      meanSendMs: () => meanMs,
      onChange() {
        sharing.tell();
        sendNext();
      },
    });
    const sharing = new PauseSharing(pause, pauseBoard, clock);
    sharing.start();
    sendNext();
  };
  for (let sender = 0; sender < senders; sender += 1) clock.after(sender * 237, startSender);
  await time.run(() => time.nowMs > (SKIPPED_SECONDS + SECONDS) * 1_000);
  return taken / SECONDS;
}

test.each([
  { senders: 4, capacity: 200, meanMs: 500 },
  { senders: 4, capacity: 50, meanMs: 500 },
  { senders: 4, capacity: 200, meanMs: 100 },
  { senders: 1, capacity: 20, meanMs: 500 },
])('$senders senders use a capacity of $capacity SMS/s where a send takes $meanMs ms', async (each) => {
  const perSecond = await takenPerSecond(each);
  expect(perSecond).toBeGreaterThan(each.capacity * 0.95);
  expect(perSecond).toBeLessThan(each.capacity * 1.05);
});
