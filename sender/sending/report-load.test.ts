import { expect, it } from 'vitest';
import { ManualClock } from '../../tests/kit/manual-clock.ts';
import { createLoadReport } from './report-load.ts';

it('a sender tells how many attempts it made each second since its sign of life before', async () => {
  const clock = new ManualClock(0);
  const load = { inFlight: 3, answered: 0 };
  const report = createLoadReport('host-1', clock, () => load);
  expect(report()).toEqual({ host: 'host-1', inFlight: 3, attemptsPerSecond: 0 });
  load.answered = 50;
  await clock.advance(2_000);
  expect(report().attemptsPerSecond).toBe(25);
  // Asked again at once: the rate of a moment would be 0 or endless.
  load.answered = 51;
  await clock.advance(10);
  expect(report().attemptsPerSecond).toBe(25);
  await clock.advance(1_990);
  expect(report().attemptsPerSecond).toBe(0.5);
});
