/**
 * One attempt to send an SMS, as it is written into the message history, the journal and S3.
 * `lateMs` is the start minus the moment the attempt was due; absent for the first attempt, which is never due.
 */
export interface AttemptRecord {
  readonly attempt: number;
  /** ISO 8601, milliseconds, UTC. */
  readonly startedAt: string;
  readonly lateMs?: number;
  readonly tookMs: number;
  readonly result: 'sent' | 'failed';
  readonly reason?: string;
}

/** What the gateway answers. A failure is a result; a permanent one ends the SMS at once. */
export type GatewayResult =
  | { readonly kind: 'sent' }
  | { readonly kind: 'failed'; readonly reason: string; readonly isPermanent: boolean };

/** Attempts an SMS may ever have: 50 retries and the first; foreign headers may claim up to this. */
export const MAX_ATTEMPT_NUMBER = 1_000;

/** A carrier may say more than anybody reads; records are cut to this. */
export const MAX_REASON_CHARACTERS = 200;

/** True for a well-formed record: anything that comes from outside is checked with this before it is believed. */
export function isAttemptRecord(value: unknown): value is AttemptRecord {
  if (typeof value !== 'object' || value === null) return false;
  const record = value as Record<string, unknown>;
  return (
    isWholeNumber(record.attempt) &&
    typeof record.startedAt === 'string' &&
    !Number.isNaN(Date.parse(record.startedAt)) &&
    isWholeNumber(record.tookMs) &&
    (record.lateMs === undefined || Number.isSafeInteger(record.lateMs)) &&
    (record.result === 'sent' || record.result === 'failed') &&
    (record.reason === undefined ||
      (typeof record.reason === 'string' && record.reason.length <= MAX_REASON_CHARACTERS))
  );
}

/** True where the records are attempts 1, 2, … without a gap, and only the last may be a success. */
export function isAttemptSequence(records: readonly AttemptRecord[]): boolean {
  return records.every(
    (record, index) =>
      record.attempt === index + 1 && (record.result === 'failed' || index === records.length - 1),
  );
}

function isWholeNumber(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

// 34 years: sums of what foreign clients claim must not overflow in Redis, which would break a script in its middle.
const MAX_DURATION_MS = 2 ** 40;

/** A duration as it is counted. */
export function boundedMs(durationMs: number): number {
  return Math.min(Math.max(durationMs, -MAX_DURATION_MS), MAX_DURATION_MS);
}
