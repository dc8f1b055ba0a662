/**
 * The books of each run. S3 tells what was sent, failed, parked and known. What was accepted is the largest number that
 * announcements, counters or ids tell. What is accepted and has no outcome is open: in progress, or missing once nothing
 * is in the queues. Pure; all readings it takes are those of one round of the audit.
 */

import { acceptedOf, type OutcomeCounts, outcomesIn } from '../../shared/domain/outcome/books.ts';
import { GENERATED_INPUT, type RunAnnouncement } from '../../shared/domain/outcome/outcome.ts';
import type { UnreadableObjects } from '../../shared/pipeline/archive/archive.ts';
import type { FullCounterReading, RunCounters } from '../../shared/ports/counter-reader.ts';
import type { StoredCounts, StoredOutcomes } from './stored-outcomes.ts';

/** Everything one reading of S3 told. */
export interface StoreReading {
  readonly outcomes: StoredOutcomes;
  readonly announcements: ReadonlyMap<string, RunAnnouncement>;
  readonly unreadable: UnreadableObjects;
  readonly isBucketMissing: boolean;
}

export interface RunBooks extends Readonly<StoredCounts> {
  readonly run: string;
  readonly accepted: number;
  /** Accepted SMS without an outcome in S3. */
  readonly open: number;
  /** The first open ones, where their ids follow from run and number. */
  readonly openIds: readonly string[];
}

export const MAX_NAMED_IDS = 100;

/** The books of all runs, or of the one asked for, by name. @param counters valid ones only */
export function keepBooks(
  store: StoreReading,
  counters: FullCounterReading | undefined,
  onlyRun: string | undefined,
): RunBooks[] {
  const isMoreForgotten = counters !== undefined && isForgottenCounted(store, counters);
  const keep = (run: string) => keepRunBooks(run, store, countersOf(run, counters), isMoreForgotten);
  if (onlyRun !== undefined) return [keep(onlyRun)];
  const names = new Set([
    ...store.outcomes.runs.keys(),
    ...store.announcements.keys(),
    ...(counters?.runs.keys() ?? []),
    ...(counters?.summedRuns.keys() ?? []),
  ]);
  return [...names].sort().map(keep);
}

/** True where S3 holds more of a run than is counted of it because Redis has forgotten the rest: the sums agree. */
function isForgottenCounted({ outcomes }: StoreReading, counters: FullCounterReading): boolean {
  const sumOutcomes = (all: readonly OutcomeCounts[]) => all.reduce((sum, each) => sum + outcomesIn(each), 0);
  const storedCount = sumOutcomes([...outcomes.runs.values()]);
  return counters.done.forgottenCount > 0 && storedCount <= sumOutcomes(chosenCounters(counters, undefined));
}

/** Undefined where nothing of the run is counted, or not any more. */
export function countersOf(run: string, counters: FullCounterReading | undefined): RunCounters | undefined {
  return counters?.runs.get(run) ?? counters?.summedRuns.get(run);
}

/** Counters that add up to those of all runs, or of the one asked for. */
export function chosenCounters(reading: FullCounterReading, run: string | undefined): RunCounters[] {
  if (run === undefined) return [...reading.runs.values(), reading.done.counters];
  return [countersOf(run, reading) ?? []].flat();
}

/**
 * An SMS of a generated run has a name. Every accepted name without an outcome is open, whatever else was parked or sent
 * under that run, so names can make `accepted` larger than any announcement, and garbage parked in a run cannot hide a
 * missing SMS.
 *
 * A run that began again after Redis had forgotten it has more outcomes in S3 than are counted. Only the counters tell
 * what is in progress of such a run.
 */
function keepRunBooks(
  run: string,
  store: StoreReading,
  counters: RunCounters | undefined,
  isMoreForgotten: boolean,
): RunBooks {
  const stored = store.outcomes.countsOf(run);
  const outcomes = outcomesIn(stored);
  const announcement = store.announcements.get(run);
  const lastNumber = lastNamedNumber(announcement, counters);
  const missing = store.outcomes.findMissing(run, lastNumber, MAX_NAMED_IDS);
  const isBegunAgain = isMoreForgotten && counters !== undefined && outcomes > outcomesIn(counters);
  const accepted = Math.max(
    announcement?.accepted ?? 0,
    counters === undefined ? 0 : acceptedOf(counters),
    outcomes + missing.count,
    isBegunAgain ? outcomes + acceptedOf(counters) - outcomesIn(counters) : 0,
  );
  return { run, accepted, ...stored, open: accepted - outcomes, openIds: missing.firstIds };
}

function lastNamedNumber(
  announcement: RunAnnouncement | undefined,
  counters: RunCounters | undefined,
): number {
  return Math.max(
    announcement?.input === GENERATED_INPUT ? announcement.acceptedUpTo : 0,
    counters?.input === GENERATED_INPUT && !counters.hasInputConflict ? counters.acceptedUpTo : 0,
  );
}

/** One number, summed over books or counters of runs. */
export function sumOf<Field extends string>(
  runs: readonly Readonly<Record<Field, number>>[],
  field: Field,
): number {
  return runs.reduce((sum, run) => sum + run[field], 0);
}
