/** Decides which runs a fault still needs, and which runs may be told in docs/faults.md. */
import type { Fault } from '../fault.ts';

/** SMS of a run whose fault says nothing else. */
const USUAL_SMS_COUNT = 300;

/** Whether so many runs may replace the row of a fault: a few must never stand where many stood. */
export function renewsRow(playedCount: number, promisedCount: number): boolean {
  return playedCount >= promisedCount;
}

/**
 * The faults whose row tells fewer runs than promised, or that have no row. The one that needs the fewest SMS comes first, so
 * that an hour completes as many rows as it can.
 * @param toldRuns what the page tells, by the name of the fault
 */
export function shortFaults(
  faults: readonly Fault[],
  toldRuns: ReadonlyMap<string, number>,
  promisedRunsOf: (fault: Fault) => number,
): Fault[] {
  const smsCountOf = (fault: Fault) => promisedRunsOf(fault) * (fault.settings?.smsCount ?? USUAL_SMS_COUNT);
  return faults
    .filter((fault) => !renewsRow(toldRuns.get(fault.name) ?? 0, promisedRunsOf(fault)))
    .sort((left, right) => smsCountOf(left) - smsCountOf(right));
}

/** The seeds of a row that have not been played yet: the first seed and those that count on from it. */
export function seedsLeft(
  firstSeed: number,
  runCount: number,
  playedSeeds: readonly number[] = [],
): number[] {
  const played = new Set(playedSeeds);
  return Array.from({ length: runCount }, (_, index) => firstSeed + index).filter(
    (seed) => !played.has(seed),
  );
}
