/**
 * Fixed buckets for whole milliseconds, the same in every sender, so that counts add up over all of them:
 * one bucket a millisecond below 32, then 16 buckets for each doubling, none wider than 6.3 % of its value.
 * (The scheme of HdrHistogram; ours is kept as counts by bucket number, because Redis adds them up.)
 */
const LINEAR_LIMIT = 32;
const BUCKETS_PER_DOUBLING = 16;
const MAX_VALUE = 2 ** 40;

/** Counts by bucket number. */
export type BucketCounts = ReadonlyMap<number, number>;

/** The bucket of a value in milliseconds; negative values count as 0, those over 34 years as that. */
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
 * The value in milliseconds below or at which the given share (0..1) of all counted values lies,
 * told as the middle of its bucket; undefined where nothing was counted.
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

/** Adds counts of several senders or runs into one. */
export function mergeCounts(all: Iterable<BucketCounts>): Map<number, number> {
  const merged = new Map<number, number>();
  for (const counts of all) {
    for (const [bucket, count] of counts) merged.set(bucket, (merged.get(bucket) ?? 0) + count);
  }
  return merged;
}
