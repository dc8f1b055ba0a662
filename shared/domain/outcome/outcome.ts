/** The outcome of an SMS: one JSON line in S3, and the same line in the journal that carries it there. */

import { parseJson } from '../parse-json.ts';
import { isRunName, isSmsId } from '../sms/sms.ts';
import {
  type AttemptRecord,
  flatFieldsOf,
  isAttemptRecord,
  isAttemptSequence,
  isCount,
  isKnownResult,
} from './attempt.ts';

/**
 * How an SMS ended. `known` is no outcome of its own: within KEEP_TIME an id is one SMS, whatever run it comes in, and this SMS
 * was met in another run before. The record tells so, so that the run in which it came again can account for it.
 */
export const OUTCOME_STATUSES = ['sent', 'failed', 'parked', 'known'] as const;
export type OutcomeStatus = (typeof OUTCOME_STATUSES)[number];

/** An outcome record. That of a parked message holds the raw message in base64 and no content. Keys are in this order. */
export interface OutcomeRecord {
  readonly smsId: string;
  readonly run: string;
  /** QUEUE_NAME of the pipeline it belongs to: several may share a bucket. */
  readonly queue: string;
  readonly to?: string;
  readonly text?: string;
  readonly from?: string;
  readonly reference?: string;
  readonly priority?: string;
  /** The moment its first attempt had to wait for. ISO 8601, as all times here. */
  readonly notBefore?: string;
  /** No attempt was to start after it. */
  readonly expiresAt?: string;
  /** The trace it belongs to, as its client set it. */
  readonly traceparent?: string;
  /** The SMS that this one was sent again for: its id. */
  readonly redriveOf?: string;
  readonly status: OutcomeStatus;
  /** Why it failed or was parked; absent when sent. */
  readonly reason?: string;
  readonly acceptedAt: string;
  readonly finishedAt: string;
  readonly attempts: readonly AttemptRecord[];
  /** Of a parked message: id, content type and encoding, and headers, as far as they can be read. Long ones are cut. */
  readonly messageId?: string;
  readonly contentType?: string;
  readonly contentEncoding?: string;
  readonly headers?: Readonly<Record<string, unknown>>;
  /** Of a parked message: the first 8 KiB of the body in base64. The whole body stays in the parked queue. */
  readonly raw?: string;
  /** Full length of the body of a parked message. */
  readonly rawBytes?: number;
  /** SHA-256 of the whole body of a parked message. */
  readonly rawDigest?: string;
}

/** An announcement of a producer: how many SMS of a run RabbitMQ has confirmed. S3 keeps announcements under `runs/`. */
export interface RunAnnouncement {
  readonly run: string;
  readonly queue: string;
  /** How many SMS RabbitMQ has confirmed and not returned. */
  readonly accepted: number;
  /** The highest number up to which all SMS are accepted. Bad lines of an input are no gap. */
  readonly acceptedUpTo: number;
  /** `generated`, or `file:` and a fingerprint of the whole input, or `stream:` and one of its first 64 KiB. */
  readonly input: string;
  readonly at: string;
  /** Another announcement follows within a second or at the end. The counters need this one, S3 need not keep it. */
  readonly isInterim?: true;
}

/** The input of SMS that the producer made itself: their ids can be derived from run and number. */
export const GENERATED_INPUT = 'generated';

const OPTIONAL_TEXTS = [
  ...(['to', 'text', 'from', 'reference', 'priority', 'notBefore', 'expiresAt', 'reason'] as const),
  ...(['traceparent', 'redriveOf', 'raw', 'rawDigest'] as const),
];
const MAX_INPUT_CHARACTERS = 200;
/** The key of an announcement has room for 12 digits. */
const MAX_ACCEPTED = 999_999_999_999;

export function isOutcomeRecord(value: unknown): value is OutcomeRecord {
  if (typeof value !== 'object' || value === null) return false;
  const record = value as Record<string, unknown>;
  return (
    isSmsId(record.smsId) &&
    isRunName(record.run) &&
    typeof record.queue === 'string' &&
    OUTCOME_STATUSES.includes(record.status as OutcomeStatus) &&
    OPTIONAL_TEXTS.every((name) => record[name] === undefined || typeof record[name] === 'string') &&
    typeof record.acceptedAt === 'string' &&
    typeof record.finishedAt === 'string' &&
    Array.isArray(record.attempts) &&
    record.attempts.every(isAttemptRecord) &&
    isAttemptSequence(record.attempts)
  );
}

/** False for a record with a result that only a newer version can count. */
export function areResultsKnown({ attempts }: OutcomeRecord): boolean {
  return attempts.every(isKnownResult);
}

export function isRunAnnouncement(value: unknown): value is RunAnnouncement {
  if (typeof value !== 'object' || value === null) return false;
  const record = value as Record<string, unknown>;
  return (
    isRunName(record.run) &&
    typeof record.queue === 'string' &&
    isCount(record.accepted) &&
    record.accepted <= MAX_ACCEPTED &&
    isCount(record.acceptedUpTo) &&
    typeof record.input === 'string' &&
    record.input.length <= MAX_INPUT_CHARACTERS &&
    typeof record.at === 'string'
  );
}

/** The announcement with the fields that were checked, and a few flat ones of a newer version. */
export function rebuiltAnnouncement(announcement: RunAnnouncement): RunAnnouncement {
  const { run, queue, accepted, acceptedUpTo, input, at } = announcement;
  return { ...flatFieldsOf(announcement), run, queue, accepted, acceptedUpTo, input, at };
}

/** The announcement in the body of an object; undefined where there is none. */
export function parseAnnouncement(body: Buffer | undefined): RunAnnouncement | undefined {
  const value = parseJson(body?.toString('utf8') ?? '');
  return isRunAnnouncement(value) ? value : undefined;
}

/** What has exactly one record: an SMS, or an SMS that came again in another run. Ids of SMS hold no `@`. */
export function identityOf({ smsId, run, status }: Pick<OutcomeRecord, 'smsId' | 'run' | 'status'>): string {
  return status === 'known' ? `${smsId}@${run}` : smsId;
}

/** So much of the digest of a content is told. Two contents of one id are told apart by it, nothing else. */
export const CONTENT_DIGEST_DIGITS = 16;

/** What makes two SMS with one id the same SMS: their content. Those who compare it hash it first. */
export function contentOf(record: Partial<OutcomeRecord>): string {
  const { to, text, from, reference, raw, rawDigest } = record;
  return JSON.stringify([to, text, from, reference, rawDigest ?? raw]);
}
