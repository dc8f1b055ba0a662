/**
 * Where counters and S3 disagree. Counted is what is stored, a moment later: so a number in S3 lies between the counters
 * read before and those read after, which is equality when nothing moves.
 *
 * S3 tells of each run for ever. Redis forgets the name of a run KEEP_TIME after its last change and keeps its sums. So
 * once a run was forgotten, S3 may hold more of a run than is counted of it, as long as the sums of all runs agree.
 */
import type { FullCounterReading } from '../shared/ports.ts';
import { countersOf, type RunBooks, type StoreReading } from './books.ts';
import type { StoredOutcomes } from './stored-outcomes.ts';

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
  readonly countedBefore: number;
  readonly countedAfter: number;
  /** False of a run that Redis has forgotten, or never heard of. */
  readonly isCounted: boolean;
}

export interface ToCompare {
  readonly store: StoreReading;
  readonly books: readonly RunBooks[];
  /** Undefined where there were no valid counters: then those after must be equal. */
  readonly before: FullCounterReading | undefined;
  readonly after: FullCounterReading;
  /** The books are those of this run only. */
  readonly run: string | undefined;
}

/** A sentence for each number that disagrees. */
export function findDisagreements(compared: ToCompare): string[] {
  const byRun = compared.books.flatMap((books) => compareRun(books, compared));
  if (compared.after.done.forgottenCount === 0) return byRun.filter(isWrong).map(describe);
  const sums = compareSums(compared);
  const isMoreStored = new Set(sums.filter(isMore).map(({ field }) => field));
  const wrongRuns = byRun.filter(
    (each) => isLess(each) || (isMore(each) && each.isCounted && isMoreStored.has(each.field)),
  );
  // One run by itself is right where S3 holds exactly what is counted of it, whatever the sums are.
  const isJudgedByItself = compared.run !== undefined && !byRun.some(isMore);
  return [...wrongRuns, ...(isJudgedByItself ? [] : sums.filter(isWrong))].map(describe);
}

function compareRun({ run, stored, open }: RunBooks, { before, after }: ToCompare): Comparison[] {
  const [least, most] = [countersOf(run, before ?? after), countersOf(run, after)];
  return (open === 0 ? COMPARED_WHEN_DONE : ALWAYS_COMPARED).map((field) => ({
    what: `run "${run}"`,
    field,
    stored: stored[field],
    countedBefore: least?.[field] ?? 0,
    countedAfter: most?.[field] ?? 0,
    isCounted: most !== undefined,
  }));
}

/** Of all runs, also where the books are those of one: what was forgotten is in no other number. */
function compareSums({ store, books, before, after, run }: ToCompare): Comparison[] {
  const isAllDone = run === undefined && books.every(({ open }) => open === 0);
  return (isAllDone ? COMPARED_WHEN_DONE : ALWAYS_COMPARED).map((field) => ({
    what: 'all runs together',
    field,
    stored: sumStored(store.outcomes, field),
    countedBefore: sumCounted(before ?? after, field),
    countedAfter: sumCounted(after, field),
    isCounted: true,
  }));
}

function sumStored({ runs }: StoredOutcomes, field: ComparedField): number {
  return [...runs.values()].reduce((sum, stored) => sum + stored[field], 0);
}

function sumCounted({ runs, done }: FullCounterReading, field: ComparedField): number {
  return [...runs.values()].reduce((sum, counters) => sum + counters[field], done.counters[field]);
}

function isLess({ stored, countedBefore }: Comparison): boolean {
  return stored < countedBefore;
}

function isMore({ stored, countedAfter }: Comparison): boolean {
  return stored > countedAfter;
}

function isWrong(comparison: Comparison): boolean {
  return isLess(comparison) || isMore(comparison);
}

function describe({ what, field, stored, countedAfter }: Comparison): string {
  return `${what}: Redis counts ${countedAfter} ${nameOf(field)}, S3 holds ${stored}`;
}

function nameOf(field: ComparedField): string {
  if (field === 'attempts') return 'attempts';
  return field === 'attemptsFailed' ? 'failed attempts' : field;
}
