/** The outcome of an SMS: one JSON line in S3, and the same line in the journal that carries it there. */
import { type AttemptRecord, isAttemptRecord, isAttemptSequence } from './attempt.ts';
import { isRunName, isSmsId } from './sms.ts';

export const OUTCOME_STATUSES = ['sent', 'failed', 'parked'] as const;
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
  /** A parked message's body in base64 (its first 64 KiB; the whole stays in the parked queue). */
  readonly raw?: string;
  /** The body's full length, where `raw` is cut. */
  readonly rawBytes?: number;
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

export function isOutcomeRecord(value: unknown): value is OutcomeRecord {
  if (typeof value !== 'object' || value === null) return false;
  const record = value as Record<string, unknown>;
  return (
    isSmsId(record.smsId) &&
    isRunName(record.run) &&
    typeof record.queue === 'string' &&
    OUTCOME_STATUSES.includes(record.status as OutcomeStatus) &&
    typeof record.acceptedAt === 'string' &&
    typeof record.finishedAt === 'string' &&
    Array.isArray(record.attempts) &&
    record.attempts.every(isAttemptRecord) &&
    isAttemptSequence(record.attempts)
  );
}

export function isRunAnnouncement(value: unknown): value is RunAnnouncement {
  if (typeof value !== 'object' || value === null) return false;
  const record = value as Record<string, unknown>;
  return (
    isRunName(record.run) &&
    typeof record.queue === 'string' &&
    isCount(record.accepted) &&
    isCount(record.acceptedUpTo) &&
    typeof record.input === 'string' &&
    typeof record.at === 'string'
  );
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

/** What makes two SMS of one id the same SMS: their content. Hashed by whoever compares. */
export function contentOf(record: OutcomeRecord): string {
  return JSON.stringify([record.to, record.text, record.from, record.reference, record.raw]);
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
