import { timeOf } from '../iso-time.ts';

/**
 * One attempt to send an SMS, as the history of its message, the journal and S3 hold it. `lateMs` is the start minus the
 * moment when the attempt was due. It is absent for the first attempt, which waited for nothing.
 */
export interface AttemptRecord {
  readonly attempt: number;
  /** ISO 8601, UTC. The microseconds within its millisecond are no exact time: they tell executions apart. */
  readonly startedAt: string;
  readonly lateMs?: number;
  readonly tookMs: number;
  /** One of KNOWN_RESULTS, or a word that a newer version writes. */
  readonly result: string;
  readonly reason?: string;
}

/** How an attempt ended. A failure is a result too; a permanent failure ends the SMS at once. */
export type AttemptResult =
  | { readonly kind: 'sent' }
  | { readonly kind: 'failed'; readonly reason: string; readonly isPermanent: boolean }
  /** The send may have been carried out: nobody has said so, and nobody has denied it. */
  | { readonly kind: 'unknown'; readonly reason: string };

/** The carrier takes nothing now. No attempt is spent. */
export interface Throttled {
  readonly kind: 'throttled';
  /** When it takes SMS again, milliseconds since the epoch, where the carrier says so. */
  readonly untilMs?: number;
}

/** What the gateway answers. */
export type GatewayResult = AttemptResult | Throttled;

/** Results that this version counts. */
const KNOWN_RESULTS: ReadonlySet<string> = new Set<AttemptResult['kind']>(['sent', 'failed', 'unknown']);

/** The highest attempt number that a foreign header may claim. A schedule allows 51 attempts. */
export const MAX_ATTEMPT_NUMBER = 1_000;

/** A carrier may say more than anybody reads: reasons are cut to this length. */
export const MAX_REASON_CHARACTERS = 200;

const WORD = /^[a-z][a-z-]{0,31}$/;
// Control characters: a terminal would obey them, and each takes six bytes in JSON.
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const CONTROL_CHARACTERS = /[\u0000-\u001f\u007f-\u009f]/g;
const KNOWN_FIELDS = new Set(['attempt', 'startedAt', 'lateMs', 'tookMs', 'result', 'reason']);
const MAX_FLAT_FIELDS = 16;
const MAX_FIELD_CHARACTERS = 64;

/** A carrier's reason as it may stand in a record: short, valid Unicode, without control characters. */
export function readableReason(reason: string): string {
  return reason.slice(0, MAX_REASON_CHARACTERS).replace(CONTROL_CHARACTERS, ' ').toWellFormed();
}

/** True for a well-formed record. Whatever comes from outside is checked with this before it is believed. */
export function isAttemptRecord(value: unknown): value is AttemptRecord {
  if (typeof value !== 'object' || value === null) return false;
  const record = value as Record<string, unknown>;
  return (
    isCount(record.attempt) &&
    typeof record.startedAt === 'string' &&
    record.startedAt.length <= MAX_FIELD_CHARACTERS &&
    !Number.isNaN(timeOf(record.startedAt)) &&
    isCount(record.tookMs) &&
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

/** An attempt that did not send has failed, even with a result that only a newer version knows: all versions count alike. */
export function hasFailed({ result }: AttemptRecord): boolean {
  return result !== 'sent';
}

/** An attempt without a clear answer: it may have sent, and counts as failed. */
export function isUnclear({ result }: AttemptRecord): boolean {
  return result === 'unknown';
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

/** The record with nothing in it that was not checked: the known fields, and a few flat ones of a newer version. */
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

/** Of fields that were not checked, the ones that can do no harm: few, short and without nesting. */
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

/** A whole number of at least 0. */
export function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

// 34 years. Sums of what foreign clients claim must not overflow in Redis: that would end a script in its middle.
const MAX_DURATION_MS = 2 ** 40;

/** A duration, bounded for counting. */
export function boundedMs(durationMs: number): number {
  return Math.min(Math.max(durationMs, -MAX_DURATION_MS), MAX_DURATION_MS);
}
