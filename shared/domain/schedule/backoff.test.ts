import { double, integer } from 'fast-check';
import { expect, test } from 'vitest';
import { forAll } from '../../../tests/kit/for-all.ts';
import { fullJitterMs } from './backoff.ts';

const almostOne = 1 - Number.EPSILON;

test.each([
  [0, 100],
  [1, 200],
  [5, 3_200],
  [6, 5_000],
  [10_000, 5_000],
])('after %i failed tries the pause is anything up to %i ms', (tries, ceilingMs) => {
  expect(fullJitterMs(tries, 0)).toBe(0);
  expect(fullJitterMs(tries, almostOne)).toBeCloseTo(ceilingMs, 6);
});

test('the highest ceiling may be another one', () => {
  expect(fullJitterMs(6, almostOne, 10_000)).toBeCloseTo(6_400, 6);
  expect(fullJitterMs(7, almostOne, 10_000)).toBeCloseTo(10_000, 6);
});

test('no pause is longer than five seconds or shorter than none', () => {
  forAll(integer({ min: 0 }), double({ min: 0, max: almostOne, noNaN: true }), (tries, random) => {
    const pauseMs = fullJitterMs(tries, random);
    return pauseMs >= 0 && pauseMs <= 5_000;
  });
});
