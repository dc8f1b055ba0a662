/**
 * What is kept of a snapshot for an hour, so that a page that is opened, or another monitor, can draw what was before. Each
 * number is one of the snapshot. Rates are made of two samples, so a sample holds sums.
 */
import { z } from 'zod';
import { parseJson } from './parse-json.ts';
import type { Snapshot } from './snapshot.ts';

/** A sample at most each so many seconds, for so long. */
export const SAMPLE_SECONDS = 5;
export const HISTORY_SECONDS = 3_600;
export const MAX_SAMPLES = HISTORY_SECONDS / SAMPLE_SECONDS;
/** A schedule of 50 waits takes 1.5 KB, six reasons at most 2 KB. */
export const MAX_SAMPLE_BYTES = 4_096;
/** The most frequent reasons; the rest of `failed` failed for others. */
export const MAX_REASONS = 6;
/** A longer one counts among the others. */
const MAX_REASON_LENGTH = 80;

const number = z.number().nullable();

const schema = z.object({
  /** Milliseconds since the epoch. */
  at: z.number(),
  accepted: number,
  sent: number,
  failed: number,
  parked: number,
  inProgress: number,
  /** Attempts that were the first one of their SMS, and those beyond. */
  first: number,
  retried: number,
  /** Seconds, of the last ten seconds: p50, p95, p99. */
  processing: z.tuple([number, number, number]),
  /** p50, p99. */
  lateness: z.tuple([number, number]),
  /** Of each retry queue: attempt, delay in seconds, messages. */
  retry: z.array(z.tuple([z.number(), z.number(), z.number()])).max(200),
  /** The most frequent reasons with the SMS that failed for them. Null in a sample of a version that did not keep them. */
  reasons: z
    .array(z.tuple([z.string().max(MAX_REASON_LENGTH), z.number()]))
    .max(MAX_REASONS)
    .nullable()
    .default(null),
});

export type HistorySample = z.infer<typeof schema>;

export function sampleOf(snapshot: Snapshot): HistorySample {
  const { accepted, sent, failed, parked, inProgress, attempts, attemptsByNumber, lastTenSeconds } = snapshot;
  const { p50 = null, p95 = null, p99 = null } = lastTenSeconds?.processingSeconds ?? {};
  const lateness = lastTenSeconds?.retryLatenessSeconds;
  const first = attemptsByNumber['1'] ?? 0;
  return {
    at: Date.parse(snapshot.at),
    ...{ accepted, sent, failed, parked, inProgress },
    first: attempts === null ? null : first,
    retried: attempts === null ? null : attempts - first,
    processing: [p50, p95, p99],
    lateness: [lateness?.p50 ?? null, lateness?.p99 ?? null],
    retry: snapshot.queues.retry.map(({ attempt, delaySeconds, messages }) => [
      attempt,
      delaySeconds,
      messages,
    ]),
    reasons: Object.entries(snapshot.failedByReason)
      .filter(([reason]) => reason.length <= MAX_REASON_LENGTH)
      .slice(0, MAX_REASONS),
  };
}

/** Undefined for a text that no version of ours wrote. */
export function readSample(text: string): HistorySample | undefined {
  return schema.safeParse(parseJson(text)).data;
}

/** Numbers of a moment that is over are no history: only a snapshot of now is kept. */
export function isWorthKeeping({ state }: Snapshot): boolean {
  return state === 'ok';
}
