/**
 * The books of each run: what was accepted against what has an outcome in S3, and what Redis counted.
 * Pure; the readings it takes are those of one round of the audit.
 */
import { GENERATED_INPUT, type OutcomeStatus, type RunAnnouncement } from '../shared/domain/outcome.ts';
import type { FullCounterReading, RunCounters } from '../shared/ports.ts';
import { acceptedOf } from './snapshot.ts';
import type { StoredCounts, StoredOutcomes } from './stored-outcomes.ts';
import type { UnreadableObjects } from './unreadable-objects.ts';

/** Everything one reading of S3 told. */
export interface StoreReading {
  readonly outcomes: StoredOutcomes;
  readonly announcements: ReadonlyMap<string, RunAnnouncement>;
  readonly unreadable: UnreadableObjects;
  readonly isBucketMissing: boolean;
}

export interface RunBooks {
  readonly run: string;
  readonly accepted: number;
  readonly stored: Readonly<StoredCounts>;
  /** Accepted SMS without an outcome in S3: in progress, or missing once nothing is in the queues. */
  readonly open: number;
  /** The first open ones, where their ids follow from run and number. */
  readonly openIds: readonly string[];
}

const MAX_NAMED_IDS = 100;

/** The books of all runs, or of the one asked for, by name. @param counters valid ones only */
export function keepBooks(
  store: StoreReading,
  counters: FullCounterReading | undefined,
  onlyRun: string | undefined,
): RunBooks[] {
  const names = new Set([
    ...store.outcomes.runs.keys(),
    ...store.announcements.keys(),
    ...(counters?.runs.keys() ?? []),
    ...(counters?.summedRuns.keys() ?? []),
    ...(onlyRun === undefined ? [] : [onlyRun]),
  ]);
  const isMoreForgotten = counters !== undefined && isForgottenCounted(store, counters);
  return [...names]
    .filter((run) => onlyRun === undefined || run === onlyRun)
    .sort()
    .map((run) => keepRunBooks(run, store, countersOf(run, counters), isMoreForgotten));
}

/** True where S3 holds more of a run than is counted of it because Redis has forgotten the rest: the sums agree. */
function isForgottenCounted({ outcomes }: StoreReading, { runs, done }: FullCounterReading): boolean {
  const sumOutcomes = (all: readonly Pick<StoredCounts, OutcomeStatus>[]) =>
    all.reduce((sum, each) => sum + outcomesIn(each), 0);
  const counted = sumOutcomes([...runs.values(), done.counters]);
  return done.forgottenCount > 0 && sumOutcomes([...outcomes.runs.values()]) <= counted;
}

/** Undefined where nothing of the run is counted, or not any more. */
export function countersOf(run: string, counters: FullCounterReading | undefined): RunCounters | undefined {
  return counters?.runs.get(run) ?? counters?.summedRuns.get(run);
}

/**
 * An SMS of a generated run has a name, so one that has no outcome is known whatever else was parked or sent under
 * that run: every outcome was accepted, and every accepted name without one was too. That is why names can make
 * `accepted` larger than any announcement, and why garbage parked in a run cannot hide a missing SMS.
 *
 * A run that began again after Redis had forgotten it has more outcomes in S3 than are counted, and what is in progress
 * is told by the counters only.
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
  const open = store.outcomes.findMissing(run, lastNumber, MAX_NAMED_IDS);
  const isBegunAgain = isMoreForgotten && counters !== undefined && outcomes > outcomesIn(counters);
  const accepted = Math.max(
    announcement?.accepted ?? 0,
    counters === undefined ? 0 : acceptedOf(counters),
    outcomes + open.count,
    isBegunAgain ? outcomes + acceptedOf(counters) - outcomesIn(counters) : 0,
  );
  return { run, accepted, stored, open: accepted - outcomes, openIds: open.firstIds };
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

export function outcomesIn(stored: Pick<StoredCounts, OutcomeStatus>): number {
  return stored.sent + stored.failed + stored.parked + stored.known;
}

export function sumOf(books: readonly RunBooks[], numberOf: (run: RunBooks) => number): number {
  return books.reduce((sum, run) => sum + numberOf(run), 0);
}
