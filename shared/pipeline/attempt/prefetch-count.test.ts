import { expect, it } from 'vitest';
import { prefetchCountFor } from './prefetch-count.ts';

it.each([
  { concurrency: 100, meanMs: 500, expected: 150, why: 'a quarter of a second ahead' },
  { concurrency: 1, meanMs: 500, expected: 11, why: 'never fewer than ten ahead' },
  { concurrency: 1, meanMs: 120_000, expected: 11, why: 'however slow the carrier is' },
  { concurrency: 1_000, meanMs: 0, expected: 700, why: 'never more than that ahead' },
  {
    concurrency: 1_000,
    meanMs: 5,
    expected: 1_000,
    why: 'as few being sent as a sender can begin meanwhile',
  },
  { concurrency: 3, meanMs: 100, expected: 13, why: 'part of an SMS counts as one' },
  { concurrency: 10_000, meanMs: 2_000, expected: 10_700, why: 'beside all that are being sent' },
])(
  'a sender with $concurrency places and $meanMs ms an SMS holds $expected deliveries: $why',
  ({ concurrency, meanMs, expected }) => {
    expect(prefetchCountFor(concurrency, meanMs, { maxAhead: 700, aheadMs: 250 })).toBe(expected);
  },
);
