import { expect, test } from 'vitest';
import { Measurements } from '../instruments/measurements.ts';
import { describeVerdict, judge } from './thresholds.ts';

function drained(redial: readonly number[], bare: readonly number[]): Measurements {
  const measurements = new Measurements();
  for (const smsPerSecond of redial) measurements.add('Redial', { smsPerSecond });
  for (const smsPerSecond of bare) measurements.add('bare amqplib', { smsPerSecond });
  return measurements;
}

test.each([
  ['reached by the median', [10, 20_000, 21_000], true, false],
  ['missed by a little', [16_100], false, false],
  ['missed by more than a fifth', [15_900], false, true],
])('a ratio is %s', (_, rates, isReached, isFarOff) => {
  const [verdict] = judge('drain', drained(rates, [40_000]));
  expect(verdict).toMatchObject({ isReached, isFarOff });
});

test('what is judged is told with its figure and its bound', () => {
  const [first, stretch] = judge('drain', drained([22_000], [40_000])).map(describeVerdict);
  expect(first).toBe('drain: the rate, beside bare amqplib 0.55 ×, at least 0.5 ×: reached');
  expect(stretch).toBe('drain: the rate, beside bare amqplib 0.55 ×, at least 0.7 × (a stretch): missed');
});

test('what was not measured is not judged', () => expect(judge('drain', drained([1], []))).toEqual([]));
