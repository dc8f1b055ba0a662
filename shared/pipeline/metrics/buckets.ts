/** Upper bounds of the buckets of every histogram, in seconds: an answer of Redis in a millisecond, a slow carrier in minutes. */
export const BUCKETS_SECONDS: readonly number[] = [
  ...[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5],
  ...[1, 2.5, 5, 10, 30, 60, 120],
];
