import { expect, test } from 'vitest';
import type { GatewayResult } from '../../../shared/domain/outcome/attempt.ts';
import { simulateAttempt } from '../../../shared/domain/simulation/simulation.ts';
import { ManualClock } from '../../../tests/kit/manual-clock.ts';
import { OwnCapacity, SharedCapacity } from './carrier-capacity.ts';
import { SimulatedGateway } from './simulated-gateway.ts';

const SETTINGS = {
  seed: 7,
  meanProcessingMs: 0,
  distribution: 'exponential',
  failureRate: 0.5,
  permanentFailureShare: 0,
} as const;

async function takenOf(capacity: { takePlace(): Promise<number> }, tries: number): Promise<number> {
  let taken = 0;
  for (let time = 0; time < tries; time += 1) if ((await capacity.takePlace()) === 0) taken += 1;
  return taken;
}

test('a carrier takes what it takes within a second at once, then throttles until a tenth of that is there again', async () => {
  const clock = new ManualClock();
  const capacity = new OwnCapacity(() => 200, clock);
  expect(await takenOf(capacity, 300)).toBe(200);
  expect(await capacity.takePlace()).toBe(100);
  await clock.advance(100);
  expect(await takenOf(capacity, 300)).toBe(20);
});

test('a carrier of less than one SMS a second takes one at a time', async () => {
  const clock = new ManualClock();
  const capacity = new OwnCapacity(() => 0.5, clock);
  expect(await takenOf(capacity, 3)).toBe(1);
  expect(await capacity.takePlace()).toBe(2_000);
  await clock.advance(2_000);
  expect(await takenOf(capacity, 3)).toBe(1);
});

test('while nobody knows of the others, a sender takes its part, and asks again after a second', async () => {
  const clock = new ManualClock();
  let asked = 0;
  const capacity = new SharedCapacity({
    smsPerSecond: 200,
    senderCount: () => 4,
    clock,
    takePlace: async () => {
      asked += 1;
      if (asked === 1) throw new Error('away');
      return 0;
    },
  });
  expect(await takenOf(capacity, 300)).toBe(50);
  expect(asked).toBe(1);
  await clock.advance(1_000);
  expect(await takenOf(capacity, 300)).toBe(300);
});

test('an attempt that was throttled ends later as it would have ended at once', async () => {
  const clock = new ManualClock();
  const gateway = new SimulatedGateway(SETTINGS, clock, new OwnCapacity(() => 1, clock));
  const smsOf = (id: string) => ({ id, run: 'demo', to: '+15550100001', text: 'hello' });
  const results: GatewayResult[] = [];
  for (const id of ['a', 'b', 'c']) {
    await gateway.send(smsOf('first'), 1);
    const throttled: GatewayResult = { kind: 'throttled', untilMs: clock.nowMs() + 1_000 };
    expect(await gateway.send(smsOf(id), 1)).toEqual(throttled);
    await clock.advance(1_000);
    results.push(await gateway.send(smsOf(id), 1));
    await clock.advance(1_000);
  }
  expect(results).toEqual(['a', 'b', 'c'].map((id) => simulateAttempt(SETTINGS, id, 1).result));
});
