import { expect, test } from 'vitest';
import { medianOf, percentileOf, summarize } from './statistics.ts';

test.each([
  [[3], 3],
  [[3, 1, 2], 2],
  [[10, 9, 1, 2], 5.5],
  [[100, 20, 3], 20],
])('the median of %j is %d', (values, median) => expect(medianOf(values)).toBe(median));

test.each([
  [50, 50],
  [99, 99],
  [99.5, 100],
  [100, 100],
  [0, 1],
])('the %dth percentile of 1 to 100 is %d', (percent, value) => {
  const values = Array.from({ length: 100 }, (_, index) => 100 - index);
  expect(percentileOf(values, percent)).toBe(value);
});

test('a summary has the middle and both ends, and leaves the values as they were', () => {
  const values = [3, 1, 2];
  expect(summarize(values)).toEqual({ median: 2, min: 1, max: 3 });
  expect(values).toEqual([3, 1, 2]);
});

test('nothing cannot be summarized', () => expect(() => summarize([])).toThrow(RangeError));
