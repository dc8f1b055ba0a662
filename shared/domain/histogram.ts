/**
 * Fixed buckets for whole milliseconds. They are the same in every sender, so counts of all senders add up. Below 32 ms each
 * millisecond has a bucket; above, each doubling has 16 buckets, none wider than 6.3 % of its value. This is the scheme of
 * HdrHistogram, kept as counts by bucket number, because Redis adds them up.
 */
const LINEAR_LIMIT = 32;
const BUCKETS_PER_DOUBLING = 16;
const MAX_VALUE = 2 ** 40;

/** Counts by bucket number. */
export type BucketCounts = ReadonlyMap<number, number>;

/** The bucket of a value in milliseconds. A negative value counts as 0, a value over 34 years as 34 years. */
export function bucketOf(valueMs: number): number {
  const value = Math.min(Math.max(Math.floor(valueMs), 0), MAX_VALUE);
  if (value < LINEAR_LIMIT) return value;
  let doublings = 0;
  let scaled = value;
  while (scaled >= LINEAR_LIMIT) {
    scaled = Math.floor(scaled / 2);
    doublings += 1;
  }
  return LINEAR_LIMIT + (doublings - 1) * BUCKETS_PER_DOUBLING + (scaled - BUCKETS_PER_DOUBLING);
}

/** The smallest whole millisecond of a bucket. */
export function lowestValueOf(bucket: number): number {
  if (bucket < LINEAR_LIMIT) return bucket;
  const doublings = Math.floor((bucket - LINEAR_LIMIT) / BUCKETS_PER_DOUBLING) + 1;
  return (((bucket - LINEAR_LIMIT) % BUCKETS_PER_DOUBLING) + BUCKETS_PER_DOUBLING) * 2 ** doublings;
}

/**
 * The value in milliseconds at or below which the given share (0 to 1) of all counted values lies: the middle of its bucket.
 * Undefined where nothing was counted.
 */
export function percentileOf(counts: BucketCounts, share: number): number | undefined {
  const total = [...counts.values()].reduce((sum, count) => sum + count, 0);
  if (total <= 0) return undefined;
  let remaining = Math.max(1, Math.ceil(total * share));
  for (const [bucket, count] of [...counts].sort(([left], [right]) => left - right)) {
    remaining -= count;
    if (remaining <= 0) return (lowestValueOf(bucket) + lowestValueOf(bucket + 1) - 1) / 2;
  }
  return undefined;
}

/** Adds up the counts of several senders or runs, of buckets or of what else is counted. */
export function mergeCounts<Key>(all: Iterable<ReadonlyMap<Key, number>>): Map<Key, number> {
  const merged = new Map<Key, number>();
  for (const counts of all) {
    for (const [key, count] of counts) merged.set(key, (merged.get(key) ?? 0) + count);
  }
  return merged;
}
