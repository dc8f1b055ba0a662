import { array, double, integer } from 'fast-check';
import { expect, test } from 'vitest';
import { forAll } from '../../tests/kit/for-all.ts';
import { bucketOf, lowestValueOf, mergeCounts, percentileOf } from './histogram.ts';

const values = integer({ min: 0, max: 2 ** 40 });
const samples = array(integer({ min: 0, max: 600_000 }), { minLength: 1, maxLength: 300 });

function countsOf(sample: readonly number[]): Map<number, number> {
  return mergeCounts(sample.map((value) => new Map([[bucketOf(value), 1]])));
}

test('a value lies in its bucket, which is at most 10 % wide', () => {
  forAll(values, (value) => {
    const [low, next] = [lowestValueOf(bucketOf(value)), lowestValueOf(bucketOf(value) + 1)];
    return low <= value && value < next && next - low <= Math.max(1, low * 0.1);
  });
});

test.each([
  ['a negative value', -5, 0],
  ['a fraction', 7.9, 7],
  ['more than 34 years', 2 ** 50, bucketOf(2 ** 40)],
])('%s is counted all the same', (_, value, bucket) => expect(bucketOf(value)).toBe(bucket));

test('a percentile is within 10 % of the one that the sorted values tell', () => {
  forAll(samples, double({ min: 0, max: 1, noNaN: true }), (sample, share) => {
    const sorted = [...sample].sort((left, right) => left - right);
    const exact = sorted[Math.max(1, Math.ceil(sorted.length * share)) - 1] ?? 0;
    expect(Math.abs((percentileOf(countsOf(sample), share) ?? Infinity) - exact)).toBeLessThanOrEqual(
      exact * 0.1,
    );
  });
});

test('nothing counted has no percentile', () => expect(percentileOf(new Map(), 0.5)).toBeUndefined());

test('the counts of two senders together are those of one that saw it all', () => {
  forAll(samples, samples, (one, other) => {
    expect(mergeCounts([countsOf(one), countsOf(other)])).toEqual(countsOf([...one, ...other]));
  });
});
