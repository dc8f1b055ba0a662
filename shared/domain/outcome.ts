/** The outcome of an SMS: one JSON line in S3, and the same line in the journal that carries it there. */
import {
  type AttemptRecord,
  flatFieldsOf,
  isAttemptRecord,
  isAttemptSequence,
  isKnownResult,
} from './attempt.ts';
import { isRunName, isSmsId } from './sms.ts';

/**
 * How an SMS ended. `known` is no outcome of its own: within KEEP_TIME an id is one SMS, whatever run it comes in, and this
 * one was met in a run before. Its record says so, so that the run it came again in has its place for it.
 */
export const OUTCOME_STATUSES = ['sent', 'failed', 'parked', 'known'] as const;
export type OutcomeStatus = (typeof OUTCOME_STATUSES)[number];

/** An outcome record. A parked one has no content but the raw message in base64. Key order is that of the line. */
export interface OutcomeRecord {
  readonly smsId: string;
  readonly run: string;
  /** QUEUE_NAME of the pipeline it belongs to: several may share a bucket. */
  readonly queue: string;
  readonly to?: string;
  readonly text?: string;
  readonly from?: string;
  readonly reference?: string;
  readonly status: OutcomeStatus;
  /** Why it failed or was parked; absent when sent. */
  readonly reason?: string;
  /** ISO 8601, as all times here. */
  readonly acceptedAt: string;
  readonly finishedAt: string;
  readonly attempts: readonly AttemptRecord[];
  /** A parked message's id, content type and encoding, and headers, as far as they can be read; long ones are cut. */
  readonly messageId?: string;
  readonly contentType?: string;
  readonly contentEncoding?: string;
  readonly headers?: Readonly<Record<string, unknown>>;
  /** A parked message's body in base64 (its beginning, 8 KiB at the most; the whole stays in the parked queue). */
  readonly raw?: string;
  /** The body's full length. */
  readonly rawBytes?: number;
  /** SHA-256 of the whole body. */
  readonly rawDigest?: string;
}

/** Announcement of a producer: how many SMS of a run RabbitMQ has confirmed. Also an object under `runs/`. */
export interface RunAnnouncement {
  readonly run: string;
  readonly queue: string;
  /** SMS confirmed and not returned. */
  readonly accepted: number;
  /** The highest number up to which all are accepted, without a gap; bad lines of an input are no gap. */
  readonly acceptedUpTo: number;
  /** `generated`; `file:` and a fingerprint of the whole input; `stream:` and one of its first 64 KiB. */
  readonly input: string;
  readonly at: string;
  /** Another one follows within a second, or at the end: the counters want this one, S3 need not keep it. */
  readonly isInterim?: true;
}

/** The input of SMS made by the producer itself: their ids can be derived from run and number. */
export const GENERATED_INPUT = 'generated';

const OPTIONAL_TEXTS = ['to', 'text', 'from', 'reference', 'reason', 'raw', 'rawDigest'] as const;
const MAX_INPUT_CHARACTERS = 200;
/** Announcements' objects are named after 12 digits. */
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

/** The announcement with the fields that were looked at, and a few flat ones that a newer version may have added. */
export function rebuiltAnnouncement(announcement: RunAnnouncement): RunAnnouncement {
  const { run, queue, accepted, acceptedUpTo, input, at } = announcement;
  return { ...flatFieldsOf(announcement), run, queue, accepted, acceptedUpTo, input, at };
}

/** Reads the body of an announcement's object; undefined where it is none. */
export function parseAnnouncement(body: Buffer | undefined): RunAnnouncement | undefined {
  try {
    const value: unknown = JSON.parse(body?.toString('utf8') ?? '');
    return isRunAnnouncement(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/**
 * What must be there once: an SMS, or an SMS that came again in another run. Ids of SMS hold no `@`.
 */
export function identityOf({ smsId, run, status }: Pick<OutcomeRecord, 'smsId' | 'run' | 'status'>): string {
  return status === 'known' ? `${smsId}@${run}` : smsId;
}

/** What makes two SMS of one id the same SMS: their content. Hashed by whoever compares. */
export function contentOf(record: OutcomeRecord): string {
  const { to, text, from, reference, raw, rawDigest } = record;
  return JSON.stringify([to, text, from, reference, rawDigest ?? raw]);
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
