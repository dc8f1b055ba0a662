/**
 * Entries of SMS that Redis has probably never met: a first attempt, or an outcome after one attempt. What RECORD would
 * save for each and count for all of them is prepared here, so that Redis need not work it out SMS by SMS.
 */
import { type AttemptRecord, boundedMs, hasFailed } from '../../domain/attempt.ts';
import { bucketOf } from '../../domain/histogram.ts';
import type { CounterEntry } from '../../ports.ts';
import { tokenOf } from './attempt-token.ts';

type EntryOfSms = CounterEntry & { readonly kind: 'attempt' | 'outcome' };

/** First attempts of one run. */
interface FirstAttempts {
  count: number;
  failedCount: number;
  processingMs: number;
  readonly countByBucket: Map<number, number>;
}

export class FirstMeetings {
  readonly #keyOf: (smsId: string) => string;
  readonly #keysAndValues: string[] = [];
  readonly #attemptsByRun = new Map<string, FirstAttempts>();
  /** Of all entries so far: what comes second about an SMS must be told after what came first. */
  readonly #toldIds = new Set<string>();

  constructor(keyOf: (smsId: string) => string) {
    this.#keyOf = keyOf;
  }

  /** Takes the next entry in; false where it must be told by itself, after all that are taken in. */
  takeIn(entry: CounterEntry): boolean {
    if (entry.kind === 'accepted' || entry.kind === 'sender') return false;
    const { smsId, run } = entry.kind === 'attempt' ? entry : entry.outcome;
    const isToldAlready = this.#toldIds.has(smsId);
    this.#toldIds.add(smsId);
    const attempt = onlyFirstAttemptOf(entry);
    if (isToldAlready || attempt === undefined) return false;
    this.#keysAndValues.push(this.#keyOf(smsId), savedValueOf(entry, tokenOf(attempt)));
    this.#count(run, attempt);
    return true;
  }

  /** The arguments of RECORD about them. */
  describe(): string[] {
    const sums = [...this.#attemptsByRun].map(([run, attempts]) => [run, sumsOf(attempts)]);
    const count = this.#keysAndValues.length / 2;
    return [JSON.stringify(Object.fromEntries(sums)), String(count), ...this.#keysAndValues];
  }

  #count(run: string, attempt: AttemptRecord): void {
    let attempts = this.#attemptsByRun.get(run);
    if (attempts === undefined) {
      attempts = { count: 0, failedCount: 0, processingMs: 0, countByBucket: new Map() };
      this.#attemptsByRun.set(run, attempts);
    }
    const processingMs = boundedMs(attempt.tookMs);
    const bucket = bucketOf(processingMs);
    attempts.count += 1;
    attempts.failedCount += hasFailed(attempt) ? 1 : 0;
    attempts.processingMs += processingMs;
    attempts.countByBucket.set(bucket, (attempts.countByBucket.get(bucket) ?? 0) + 1);
  }
}

/** Undefined where there is another attempt, or none, or it was late: first attempts are never due. */
function onlyFirstAttemptOf(entry: EntryOfSms): AttemptRecord | undefined {
  if (entry.kind === 'outcome' && entry.insteadOfObjectId !== undefined) return undefined;
  const attempts = entry.kind === 'attempt' ? [entry.attempt] : entry.outcome.attempts;
  const [attempt] = attempts;
  const isFirst = attempts.length === 1 && attempt?.attempt === 1 && attempt.lateMs === undefined;
  return isFirst ? attempt : undefined;
}

/** What `save` in scripts.ts would write. */
function savedValueOf(entry: EntryOfSms, token: string): string {
  if (entry.kind === 'attempt') return `p|${entry.run}||||${token}|`;
  const { run, status, contentDigest } = entry.outcome;
  return `c|${run}|${entry.objectId}|${status}|${contentDigest}|${token}|`;
}

/** What `meet` and `count` in scripts.ts would add, by field. */
function sumsOf({ count, failedCount, processingMs, countByBucket }: FirstAttempts): Record<string, number> {
  const buckets = [...countByBucket].map(([bucket, of]) => [`processing:${bucket}`, of]);
  return {
    ...{ met: count, attempts: count, 'attempt:1': count, attemptsFailed: failedCount, processingMs },
    ...Object.fromEntries(buckets),
  };
}
