/**
 * Where counters and S3 disagree. An outcome is counted a moment after it is stored. So a number in S3 must lie between
 * the counter read before S3 and the counter read after S3; the three are equal when nothing moves.
 *
 * S3 holds each run for ever. Redis forgets the name of a run KEEP_TIME after its last change, and keeps its sums. Once a
 * run was forgotten, S3 may hold more of a run than is counted of it, as long as the sums of all runs agree.
 */
import type { FullCounterReading, RunCounters } from '../../shared/ports/counter-reader.ts';
import { chosenCounters, type RunBooks, type StoreReading, sumOf } from './books.ts';

const ALWAYS_COMPARED = ['sent', 'failed', 'parked', 'known'] as const;
// Attempts of an SMS in progress are counted in Redis and not yet in S3.
const COMPARED_WHEN_DONE = [...ALWAYS_COMPARED, 'attempts', 'attemptsFailed'] as const;
type ComparedField = (typeof COMPARED_WHEN_DONE)[number];

/** One number in S3 and in Redis. */
interface Comparison {
  /** A run, or all of them. */
  readonly what: string;
  readonly field: ComparedField;
  readonly stored: number;
  readonly countedAfter: number;
  /** False of a run that Redis has forgotten, or never heard of. */
  readonly isCounted: boolean;
  /** S3 holds less than was counted before it was read. */
  readonly isLess: boolean;
  /** S3 holds more than was counted after it was read. */
  readonly isMore: boolean;
}

export interface ToCompare {
  readonly store: StoreReading;
  readonly books: readonly RunBooks[];
  /** Undefined where there were no valid counters: then S3 must equal the counters after. */
  readonly before: FullCounterReading | undefined;
  readonly after: FullCounterReading;
  /** The books are those of this run only. */
  readonly run: string | undefined;
}

/** A sentence for each number that disagrees. */
export function findDisagreements({ store, books, before, after, run }: ToCompare): string[] {
  const byRun = books.flatMap((each) =>
    compare(`run "${each.run}"`, [each], each.open === 0, {
      before: chosenCounters(before ?? after, each.run),
      after: chosenCounters(after, each.run),
    }),
  );
  if (after.done.forgottenCount === 0) return byRun.filter(isWrong).map(describe);
  // Sums are of all runs, also where the books are those of one: only the sums hold what was forgotten.
  const isAllDone = run === undefined && sumOf(books, 'open') === 0;
  const sums = compare('all runs together', [...store.outcomes.runs.values()], isAllDone, {
    before: chosenCounters(before ?? after, undefined),
    after: chosenCounters(after, undefined),
  });
  const isMoreStored = new Set(sums.filter(({ isMore }) => isMore).map(({ field }) => field));
  const wrongRuns = byRun.filter(
    ({ isLess, isMore, isCounted, field }) => isLess || (isMore && isCounted && isMoreStored.has(field)),
  );
  // One run is right where S3 holds exactly what is counted of it, whatever the sums are.
  const isJudgedByItself = run !== undefined && !byRun.some(({ isMore }) => isMore);
  return [...wrongRuns, ...(isJudgedByItself ? [] : sums.filter(isWrong))].map(describe);
}

function compare(
  what: string,
  storedCounts: readonly Readonly<Record<ComparedField, number>>[],
  isDone: boolean,
  counted: { readonly before: readonly RunCounters[]; readonly after: readonly RunCounters[] },
): Comparison[] {
  return (isDone ? COMPARED_WHEN_DONE : ALWAYS_COMPARED).map((field) => {
    const stored = sumOf(storedCounts, field);
    const countedAfter = sumOf(counted.after, field);
    const isLess = stored < sumOf(counted.before, field);
    const isCounted = counted.after.length > 0;
    return { what, field, stored, countedAfter, isCounted, isLess, isMore: stored > countedAfter };
  });
}

function isWrong({ isLess, isMore }: Comparison): boolean {
  return isLess || isMore;
}

function describe({ what, field, stored, countedAfter }: Comparison): string {
  return `${what}: Redis counts ${countedAfter} ${nameOf(field)}, S3 holds ${stored}`;
}

function nameOf(field: ComparedField): string {
  if (field === 'attempts') return 'attempts';
  return field === 'attemptsFailed' ? 'failed attempts' : field;
}
