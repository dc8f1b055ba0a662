/**
 * The books of each run: what was accepted against what has an outcome in S3, and what Redis counted.
 * Pure; the readings it takes are those of one round of the audit.
 */
import { GENERATED_INPUT, type RunAnnouncement } from '../shared/domain/outcome.ts';
import type { CounterReading, RunCounters } from '../shared/ports.ts';
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
  counters: CounterReading | undefined,
  onlyRun: string | undefined,
): RunBooks[] {
  const names = new Set([
    ...store.outcomes.runs.keys(),
    ...store.announcements.keys(),
    ...(counters?.runs.keys() ?? []),
    ...(onlyRun === undefined ? [] : [onlyRun]),
  ]);
  return [...names]
    .filter((run) => onlyRun === undefined || run === onlyRun)
    .sort()
    .map((run) => keepRunBooks(run, store, counters?.runs.get(run)));
}

/**
 * An SMS of a generated run has a name, so one that has no outcome is known whatever else was parked or sent under
 * that run: every outcome was accepted, and every accepted name without one was too. That is why names can make
 * `accepted` larger than any announcement, and why garbage parked in a run cannot hide a missing SMS.
 */
function keepRunBooks(run: string, store: StoreReading, counters: RunCounters | undefined): RunBooks {
  const stored = store.outcomes.countsOf(run);
  const outcomes = outcomesIn(stored);
  const announcement = store.announcements.get(run);
  const lastNumber = lastNamedNumber(announcement, counters);
  const open = store.outcomes.findMissing(run, lastNumber, MAX_NAMED_IDS);
  const accepted = Math.max(
    announcement?.accepted ?? 0,
    counters === undefined ? 0 : acceptedOf(counters),
    outcomes + open.count,
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

export function outcomesIn(stored: Readonly<StoredCounts>): number {
  return stored.sent + stored.failed + stored.parked + stored.known;
}

export function sumOf(books: readonly RunBooks[], numberOf: (run: RunBooks) => number): number {
  return books.reduce((sum, run) => sum + numberOf(run), 0);
}

const ALWAYS_COMPARED = ['sent', 'failed', 'parked', 'known'] as const;
// Attempts of an SMS in progress are counted in Redis and not yet in S3.
const COMPARED_WHEN_DONE = [...ALWAYS_COMPARED, 'attempts', 'attemptsFailed'] as const;

/**
 * Where counters and S3 disagree, a sentence each. Counted is what is stored, a moment later: so a number in S3
 * lies between the counters read before and those read after, which is equality when nothing moves.
 * @param before undefined where there were no valid counters: then those after must be equal
 */
export function findDisagreements(
  books: readonly RunBooks[],
  before: CounterReading | undefined,
  after: CounterReading,
): string[] {
  return books.flatMap(({ run, stored, open }) => {
    const least = (before ?? after).runs.get(run);
    const most = after.runs.get(run);
    return (open === 0 ? COMPARED_WHEN_DONE : ALWAYS_COMPARED)
      .filter((field) => stored[field] < (least?.[field] ?? 0) || stored[field] > (most?.[field] ?? 0))
      .map(
        (field) =>
          `run "${run}": Redis counts ${most?.[field] ?? 0} ${nameOf(field)}, S3 holds ${stored[field]}`,
      );
  });
}

function nameOf(field: (typeof COMPARED_WHEN_DONE)[number]): string {
  if (field === 'attempts') return 'attempts';
  return field === 'attemptsFailed' ? 'failed attempts' : field;
}
