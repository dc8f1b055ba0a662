import { expect, it } from 'vitest';
import { Pacer } from './pacer.ts';

it('an SMS is due at its place in the rate, however late those before it were', () => {
  const pacer = new Pacer(4, 1_000);
  const pauses = [1_000, 1_000, 1_240, 1_251, 1_400].map((nowMs) => {
    const pauseMs = pacer.pauseMs(nowMs);
    if (pauseMs === 0) pacer.took();
    return pauseMs;
  });
  expect(pauses).toEqual([0, 250, 10, 0, 100]);
});

it('a clock set back by an hour pauses the run by no more than one SMS takes', () => {
  const pacer = new Pacer(10, 3_600_000);
  pacer.took();
  expect(pacer.pauseMs(3_600_030)).toBe(70);
  expect(pacer.pauseMs(30)).toBe(70);
  expect(pacer.pauseMs(100)).toBe(0);
});

it('a clock set forward by an hour lets one second of SMS go at once', () => {
  const pacer = new Pacer(10, 0);
  let count = 0;
  while (pacer.pauseMs(3_600_000) === 0) {
    pacer.took();
    count += 1;
  }
  expect(count).toBe(11);
});
