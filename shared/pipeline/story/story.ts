/** The whole story of one SMS, as far as it is known. */
import { z } from 'zod';
import { isoTime } from '../../domain/iso-time.ts';
import type { OutcomeRecord } from '../../domain/outcome/outcome.ts';
import { REASONS } from '../../domain/schedule/retry-schedule.ts';
import type { KnownAttempt, KnownSms } from '../../ports/api/known-sms.ts';
import type { FoundRecord } from '../archive/newest-outcomes.ts';
import type { ToldSms } from './told-sms.ts';

/**
 * - scheduled: waits for the moment for which it was asked
 * - waiting: accepted, and no attempt has ended yet
 * - retrying: an attempt failed, and the next one is due at `nextAttemptAt`
 * - sending: its next attempt is due: it is being made, or begins as soon as a sender takes it
 * - sent, failed, parked: as its outcome says
 * - cancelled, expired: failed, for that reason
 * - known: the id was met before, in another run
 */
export const STORY_STATES = [
  ...(['scheduled', 'waiting', 'retrying', 'sending'] as const),
  ...(['sent', 'failed', 'parked', 'cancelled', 'expired', 'known'] as const),
] as const;
export type StoryState = (typeof STORY_STATES)[number];

const attemptSchema = z.object({
  attempt: z.int(),
  startedAt: z.string(),
  tookMs: z.number(),
  lateMs: z.number().optional().describe('start minus the moment at which it was due'),
  result: z.string(),
  reason: z.string().optional().describe('known once the SMS has its outcome'),
});

/** Times are ISO 8601. What is not known is not there. */
export const storySchema = z
  .object({
    id: z.string(),
    state: z.enum(STORY_STATES),
    run: z.string().optional(),
    to: z.string().optional(),
    text: z.string().optional(),
    from: z.string().optional(),
    reference: z.string().optional(),
    priority: z.string().optional(),
    sendAt: z.string().optional(),
    expiresAt: z.string().optional(),
    traceparent: z.string().optional(),
    redriveOf: z.string().optional().describe('id of the SMS that it was sent again for'),
    reason: z.string().optional(),
    acceptedAt: z.string().optional(),
    finishedAt: z.string().optional(),
    nextAttemptAt: z.string().optional(),
    attempts: z.array(attemptSchema),
    record: z.string().optional().describe('key of the object that holds its record'),
  })
  .meta({ id: 'Story' });

export type Story = z.infer<typeof storySchema>;
export type StoryAttempt = z.infer<typeof attemptSchema>;

/** The story that a record tells. */
export function storyOfRecord({ record, key }: Pick<FoundRecord, 'record' | 'key'>): Story {
  const { smsId, run, to, text, from, reference, priority, notBefore, expiresAt, reason } = record;
  const { acceptedAt, finishedAt, attempts, traceparent, redriveOf } = record;
  return {
    ...{ id: smsId, state: stateOfRecord(record), run, to, text, from, reference, priority },
    ...{ sendAt: notBefore, expiresAt, traceparent, redriveOf, reason, acceptedAt, finishedAt },
    attempts: attempts.map(({ attempt, startedAt, tookMs, lateMs, result, reason }) => ({
      attempt,
      startedAt,
      tookMs,
      lateMs,
      result,
      reason,
    })),
    record: key,
  };
}

function stateOfRecord({ status, reason }: OutcomeRecord): StoryState {
  if (status !== 'failed') return status;
  if (reason === REASONS.cancelled) return 'cancelled';
  return reason === REASONS.expired ? 'expired' : 'failed';
}

/** What is known of an SMS without a record. */
export interface OpenSms {
  readonly id: string;
  /** Undefined where no recorder has met it. */
  readonly known: KnownSms | undefined;
  /** Undefined where the API does not remember it. */
  readonly told: ToldSms | undefined;
  /** When the attempt is due that follows the last one; undefined where that cannot be told. */
  readonly nextAttemptMs: number | undefined;
  readonly nowMs: number;
}

/** The story of an SMS that has no record yet. */
export function storyOfOpen(sms: OpenSms): Story {
  const { id, known, told, nextAttemptMs } = sms;
  const state = stateOfOpen(sms);
  return {
    ...{ id, state, run: known?.run ?? told?.run, priority: told?.priority },
    ...{ sendAt: timeOf(told?.notBeforeMs), expiresAt: timeOf(told?.expiresAtMs) },
    acceptedAt: timeOf(told?.acceptedAtMs),
    nextAttemptAt: state === 'retrying' ? timeOf(nextAttemptMs) : undefined,
    attempts: (known?.attempts ?? []).map(storyOfAttempt),
  };
}

function stateOfOpen({ known, told, nextAttemptMs, nowMs }: OpenSms): StoryState {
  // Being stored. Why it failed is known from its record alone.
  if (known?.outcome !== undefined) return known.outcome.status;
  if (known === undefined || known.attempts.length === 0)
    return (told?.notBeforeMs ?? 0) > nowMs ? 'scheduled' : 'waiting';
  return nextAttemptMs === undefined || nextAttemptMs > nowMs ? 'retrying' : 'sending';
}

function storyOfAttempt({ attempt, startedAtMs, tookMs, lateMs, result }: KnownAttempt): StoryAttempt {
  return { attempt, startedAt: isoTime(startedAtMs), tookMs, lateMs, result };
}

function timeOf(timeMs: number | undefined): string | undefined {
  return timeMs === undefined ? undefined : isoTime(timeMs);
}
