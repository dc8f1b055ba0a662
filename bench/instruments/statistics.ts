/** What several rounds of one measurement have in common. */
export interface Summary {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** @param values at least one */
export function summarize(values: readonly number[]): Summary {
  const sorted = ascending(values);
  return { median: medianOf(sorted), min: sorted[0] as number, max: sorted.at(-1) as number };
}

/** The middle value; of an even number of values the mean of the two in the middle. @param values at least one */
export function medianOf(values: readonly number[]): number {
  const sorted = ascending(values);
  const middle = sorted.length / 2;
  return ((sorted[Math.ceil(middle) - 1] as number) + (sorted[Math.floor(middle)] as number)) / 2;
}

/** The smallest value that at least this share of all values does not exceed (nearest rank). @param values at least one */
export function percentileOf(values: readonly number[], percent: number): number {
  const rank = Math.max(1, Math.ceil((percent / 100) * values.length));
  return ascending(values)[rank - 1] as number;
}

function ascending(values: readonly number[]): number[] {
  if (values.length === 0) throw new RangeError('there is nothing to summarize');
  return [...values].sort((left, right) => left - right);
}
