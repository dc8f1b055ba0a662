import { describe, expect, it } from 'vitest';
import { type SimulationSettings, simulateAttempt } from '../../../shared/domain/simulation/simulation.ts';
import { letRun, ManualClock } from '../../../tests/kit/manual-clock.ts';
import { SimulatedGateway } from './simulated-gateway.ts';

const SETTINGS: SimulationSettings = {
  seed: 7,
  meanProcessingMs: 500,
  distribution: 'exponential',
  failureRate: 0.5,
  permanentFailureShare: 0.5,
};

const smsOf = (id: string) => ({ id, run: 'demo', to: '+15550100001', text: 'hello' });

describe('SimulatedGateway', () => {
  it('answers what the simulation says, not before and not long after the time it says', async () => {
    const clock = new ManualClock();
    const gateway = new SimulatedGateway(SETTINGS, clock);
    for (const attempt of [1, 2, 3, 4, 5]) {
      const { processingMs, result } = simulateAttempt(SETTINGS, 'demo-000001', attempt);
      let answer: unknown;
      void gateway.send(smsOf('demo-000001'), attempt).then((value) => {
        answer = value;
      });
      await clock.advance(Math.floor(processingMs) - 1);
      expect(answer).toBeUndefined();
      await clock.advance(1);
      expect(answer).toEqual(result);
    }
    expect(clock.timerCount).toBe(0);
  });

  it('answers without a timer where the carrier takes no time', async () => {
    const clock = new ManualClock();
    const gateway = new SimulatedGateway({ ...SETTINGS, meanProcessingMs: 0, failureRate: 0 }, clock);
    expect(await gateway.send(smsOf('demo-000001'), 1)).toEqual({ kind: 'sent' });
    expect(clock.timerCount).toBe(0);
  });

  it('ends all waits when it is closed, and leaves no timer behind', async () => {
    const clock = new ManualClock();
    const gateway = new SimulatedGateway({ ...SETTINGS, distribution: 'constant' }, clock);
    const sends = Promise.allSettled([gateway.send(smsOf('a'), 1), gateway.send(smsOf('b'), 1)]);
    expect(clock.timerCount).toBe(2);
    gateway.close();
    gateway.close();
    await letRun();
    expect((await sends).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect(clock.timerCount).toBe(0);
  });
});
