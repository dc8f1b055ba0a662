import { timeOf } from './iso-time.ts';

/**
 * One attempt to send an SMS, as it is written into the message history, the journal and S3.
 * `lateMs` is the start minus the moment the attempt was due; absent for the first attempt, which is never due.
 */
export interface AttemptRecord {
  readonly attempt: number;
  /** ISO 8601, UTC. Of its microseconds, those within the millisecond only tell executions apart. */
  readonly startedAt: string;
  readonly lateMs?: number;
  readonly tookMs: number;
  /** One of KNOWN_RESULTS, or a word of a newer version. */
  readonly result: string;
  readonly reason?: string;
}

/** What the gateway answers. A failure is a result; a permanent one ends the SMS at once. */
export type GatewayResult =
  | { readonly kind: 'sent' }
  | { readonly kind: 'failed'; readonly reason: string; readonly isPermanent: boolean };

/** Results that this version counts. */
const KNOWN_RESULTS: ReadonlySet<string> = new Set<GatewayResult['kind']>(['sent', 'failed']);

/** Attempts an SMS may ever have: 50 retries and the first; foreign headers may claim up to this. */
export const MAX_ATTEMPT_NUMBER = 1_000;

/** A carrier may say more than anybody reads; records are cut to this. */
export const MAX_REASON_CHARACTERS = 200;

const WORD = /^[a-z][a-z-]{0,31}$/;
// Control characters, which a terminal would obey and which take six bytes each in JSON.
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const CONTROL_CHARACTERS = /[\u0000-\u001f\u007f-\u009f]/g;
const KNOWN_FIELDS = new Set(['attempt', 'startedAt', 'lateMs', 'tookMs', 'result', 'reason']);
const MAX_FLAT_FIELDS = 16;
const MAX_FIELD_CHARACTERS = 64;

/** A carrier's reason as it may stand in a record: short, valid Unicode, without control characters. */
export function readableReason(reason: string): string {
  return reason.slice(0, MAX_REASON_CHARACTERS).replace(CONTROL_CHARACTERS, ' ').toWellFormed();
}

/** True for a well-formed record: anything that comes from outside is checked with this before it is believed. */
export function isAttemptRecord(value: unknown): value is AttemptRecord {
  if (typeof value !== 'object' || value === null) return false;
  const record = value as Record<string, unknown>;
  return (
    isWholeNumber(record.attempt) &&
    typeof record.startedAt === 'string' &&
    record.startedAt.length <= MAX_FIELD_CHARACTERS &&
    !Number.isNaN(timeOf(record.startedAt)) &&
    isWholeNumber(record.tookMs) &&
    (record.lateMs === undefined || Number.isSafeInteger(record.lateMs)) &&
    typeof record.result === 'string' &&
    (KNOWN_RESULTS.has(record.result) || WORD.test(record.result)) &&
    (record.reason === undefined ||
      (typeof record.reason === 'string' && record.reason.length <= MAX_REASON_CHARACTERS))
  );
}

/** False for a result that only a newer version can count. */
export function isKnownResult({ result }: AttemptRecord): boolean {
  return KNOWN_RESULTS.has(result);
}

/** Two versions must count alike: an attempt that did not send has failed, also with a result that this one does not know. */
export function hasFailed({ result }: AttemptRecord): boolean {
  return result !== 'sent';
}

/** True where the records are attempts 1, 2, … without a gap, and only the last may be a success. */
export function isAttemptSequence(records: readonly AttemptRecord[]): boolean {
  return (
    records.length <= MAX_ATTEMPT_NUMBER &&
    records.every(
      (record, index) =>
        record.attempt === index + 1 && (record.result !== 'sent' || index === records.length - 1),
    )
  );
}

/**
 * The record with nothing in it that was not looked at: the known fields, and a few flat ones that a newer version
 * may have added.
 */
export function rebuiltAttempt(record: AttemptRecord): AttemptRecord {
  const { attempt, startedAt, lateMs, tookMs, result, reason } = record;
  const rebuilt: Record<string, unknown> = { attempt, startedAt };
  if (lateMs !== undefined) rebuilt.lateMs = lateMs;
  rebuilt.tookMs = tookMs;
  rebuilt.result = result;
  if (reason !== undefined) rebuilt.reason = readableReason(reason);
  for (const name in record)
    if (!KNOWN_FIELDS.has(name)) return { ...flatFieldsOf(record), ...rebuilt } as unknown as AttemptRecord;
  return rebuilt as unknown as AttemptRecord;
}

/** Of fields that nobody has judged, those that can do no harm: few, short and without nesting. */
export function flatFieldsOf(fields: object): Record<string, unknown> {
  const flat = Object.entries(fields).filter(
    ([name, value]) =>
      name.length <= MAX_FIELD_CHARACTERS &&
      name !== '__proto__' &&
      (typeof value === 'boolean' ||
        typeof value === 'number' ||
        (typeof value === 'string' && value.length <= MAX_FIELD_CHARACTERS)),
  );
  return Object.fromEntries(flat.slice(0, MAX_FLAT_FIELDS));
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
