import { expect, it } from 'vitest';
import { prefetchCountFor } from './prefetch-count.ts';

it.each([
  { concurrency: 100, meanMs: 500, expected: 150, why: 'a quarter of a second ahead' },
  { concurrency: 1, meanMs: 500, expected: 11, why: 'never fewer than ten ahead' },
  { concurrency: 1, meanMs: 120_000, expected: 11, why: 'however slow the carrier is' },
  {
    concurrency: 100,
    meanMs: 0,
    expected: 600,
    why: 'never more than 500 ahead, with a carrier that takes no time',
  },
  { concurrency: 3, meanMs: 100, expected: 13, why: 'part of an SMS counts as one' },
  { concurrency: 60_000, meanMs: 1, expected: 60_500, why: 'beside the largest concurrency' },
])(
  'a sender with $concurrency places and $meanMs ms an SMS holds $expected deliveries: $why',
  ({ concurrency, meanMs, expected }) => {
    expect(prefetchCountFor(concurrency, meanMs)).toBe(expected);
  },
);
