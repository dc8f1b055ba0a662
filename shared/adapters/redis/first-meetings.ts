/**
 * Entries of SMS that Redis has probably never met: a first attempt, or an outcome after one attempt. What
 * lua/record.lua would save for each of them, and count for all of them, is prepared here. Redis need not work it out SMS by SMS.
 */

import { bucketOf } from '../../domain/histogram.ts';
import { type AttemptRecord, boundedMs, hasFailed, isUnclear } from '../../domain/outcome/attempt.ts';
import { tokenOf } from '../../domain/outcome/attempt-token.ts';
import type { CounterEntry } from '../../ports/counter-store.ts';

type EntryOfSms = CounterEntry & { readonly kind: 'attempt' | 'outcome' };

/** First attempts of one run. */
interface FirstAttempts {
  count: number;
  failedCount: number;
  unclearCount: number;
  processingMs: number;
  readonly countByBucket: Map<number, number>;
}

export class FirstMeetings {
  readonly #keyOf: (smsId: string) => string;
  readonly #keysAndValues: string[] = [];
  readonly #attemptsByRun = new Map<string, FirstAttempts>();
  /** The SMS of all entries so far: a second entry of an SMS must be told after the first. */
  readonly #toldIds = new Set<string>();

  constructor(keyOf: (smsId: string) => string) {
    this.#keyOf = keyOf;
  }

  /** Takes the next entry in. False where the entry must be told by itself, after all entries that were taken in. */
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

  /** The arguments of lua/record.lua about them. */
  toArguments(): string[] {
    const sums = [...this.#attemptsByRun].map(([run, attempts]) => [run, sumsOf(attempts)]);
    const count = this.#keysAndValues.length / 2;
    return [JSON.stringify(Object.fromEntries(sums)), String(count), ...this.#keysAndValues];
  }

  #count(run: string, attempt: AttemptRecord): void {
    let attempts = this.#attemptsByRun.get(run);
    if (attempts === undefined) {
      attempts = { count: 0, failedCount: 0, unclearCount: 0, processingMs: 0, countByBucket: new Map() };
      this.#attemptsByRun.set(run, attempts);
    }
    const processingMs = boundedMs(attempt.tookMs);
    const bucket = bucketOf(processingMs);
    attempts.count += 1;
    attempts.failedCount += hasFailed(attempt) ? 1 : 0;
    attempts.unclearCount += isUnclear(attempt) ? 1 : 0;
    attempts.processingMs += processingMs;
    attempts.countByBucket.set(bucket, (attempts.countByBucket.get(bucket) ?? 0) + 1);
  }
}

/** Undefined where there are other attempts, or none, or where the attempt was late: a first attempt is never due. */
function onlyFirstAttemptOf(entry: EntryOfSms): AttemptRecord | undefined {
  if (entry.kind === 'outcome' && entry.insteadOfObjectId !== undefined) return undefined;
  const attempts = entry.kind === 'attempt' ? [entry.attempt] : entry.outcome.attempts;
  const [attempt] = attempts;
  const isFirst = attempts.length === 1 && attempt?.attempt === 1 && attempt.lateMs === undefined;
  return isFirst ? attempt : undefined;
}

/** What `save` in lua/sms.lua would write. */
function savedValueOf(entry: EntryOfSms, token: string): string {
  if (entry.kind === 'attempt') return `p|${entry.run}||||${token}|`;
  const { run, status, contentDigest } = entry.outcome;
  return `c|${run}|${entry.objectId}|${status}|${contentDigest}|${token}|`;
}

/** What `meet` and `count` in lua/ would add, by field. */
function sumsOf(attempts: FirstAttempts): Record<string, number> {
  const { count, failedCount, unclearCount, processingMs, countByBucket } = attempts;
  const buckets = [...countByBucket].map(([bucket, of]) => [`processing:${bucket}`, of]);
  return {
    ...{ met: count, attempts: count, 'attempt:1': count, attemptsFailed: failedCount, processingMs },
    ...(unclearCount === 0 ? {} : { attemptsUnknown: unclearCount }),
    ...Object.fromEntries(buckets),
  };
}
