import { expect, test } from 'vitest';
import { smsIdOf } from '../sms/sms.ts';
import { shardOf } from './shards.ts';

const SMS_COUNT = 64_000;

test('SMS are spread evenly over the shards, and the same SMS always stands in the same one', () => {
  for (const shardCount of [2, 3, 7, 64]) {
    const shards = () =>
      Array.from({ length: SMS_COUNT }, (_, index) => shardOf(smsIdOf('demo', index + 1), shardCount));
    expect(shards()).toEqual(shards());
    const counts = new Array<number>(shardCount).fill(0);
    for (const shard of shards()) counts[shard] = (counts[shard] ?? 0) + 1;
    const even = SMS_COUNT / shardCount;
    // Five standard deviations of a fair spread.
    const tolerance = 5 * Math.sqrt(even);
    for (const count of counts) expect(Math.abs(count - even)).toBeLessThan(tolerance);
  }
});

test('one shard takes everything', () => {
  expect(shardOf('demo-000001', 1)).toBe(0);
});
