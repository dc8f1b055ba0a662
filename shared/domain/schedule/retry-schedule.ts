import type { AttemptResult } from '../outcome/attempt.ts';
import { MAX_DURATION_MS, parseDuration } from './duration.ts';
import { openingFrom, type SendingWindow } from './sending-window.ts';

/** The waits in milliseconds before the 2nd, 3rd, … attempt. Its length is the number of retries. */
export type RetrySchedule = readonly number[];

const MAX_RETRIES = 50;

/** Reads `5s,30s,2m`. All problems are told at once, each as a sentence. */
export function parseRetrySchedule(
  text: string,
): { readonly schedule: RetrySchedule } | { readonly problems: string[] } {
  if (text.trim() === '') return { problems: ['is empty (write waits such as 5s,30s,2m)'] };
  const problems: string[] = [];
  const schedule: number[] = [];
  for (const part of text.split(',').map((wait) => wait.trim())) {
    const waitMs = parseDuration(part);
    if (part === '') problems.push('has an empty wait between two commas (write 5s,30s,2m)');
    else if (waitMs === undefined) problems.push(`"${part}" is not a duration (write 500ms, 5s, 2m or 1h)`);
    else if (waitMs < 1) problems.push(`"${part}" is too short (at least 1ms)`);
    else if (waitMs > MAX_DURATION_MS) problems.push(`"${part}" is too long (at most a year, 8760h)`);
    else schedule.push(waitMs);
  }
  if (schedule.length > MAX_RETRIES) problems.push(`has ${schedule.length} waits (at most ${MAX_RETRIES})`);
  return problems.length > 0 ? { problems } : { schedule };
}

/** What every sender of a pipeline goes by. */
export interface SendingRules {
  readonly schedule: RetrySchedule;
  /** What the waits count from: the failed attempt, or the acceptance of the SMS, added up. By default the failure. */
  readonly anchor?: RetryAnchor;
  /** No attempt starts outside of it. Undefined: at any time. */
  readonly window?: SendingWindow | undefined;
  /** Whether a send that may have been carried out is tried again, as by default, or given up. */
  readonly unknownResult?: UnknownRule;
}

export const RETRY_ANCHORS = ['failure', 'accepted'] as const;
export type RetryAnchor = (typeof RETRY_ANCHORS)[number];

export const UNKNOWN_RULES = ['retry', 'give-up'] as const;
export type UnknownRule = (typeof UNKNOWN_RULES)[number];

/** What is decided by a rule and not by a carrier; the reason why an SMS failed. */
export const REASONS = { expired: 'expired', cancelled: 'cancelled', unknown: 'unknown result' } as const;

/** The times of an SMS that decide when it may be sent, milliseconds since the epoch. */
export interface SmsTimes {
  readonly notBeforeMs: number | undefined;
  readonly expiresAtMs: number | undefined;
}

/**
 * An attempt starts this long before an SMS expires at the latest. The clock of a sender may be that much behind the clock of
 * whoever set the moment.
 */
export const EXPIRY_MARGIN_MS = 1_000;

/** What becomes of an SMS before an attempt. */
export type Start =
  | { readonly kind: 'begin' }
  | { readonly kind: 'wait'; readonly notBeforeMs: number }
  | { readonly kind: 'expired' };

const BEGIN: Start = { kind: 'begin' };
const EXPIRED: Start = { kind: 'expired' };

/** Whether an attempt may start now. An SMS that could only start when it has expired is expired now. */
export function decideStart(times: SmsTimes, rules: SendingRules, nowMs: number): Start {
  const dueMs = openFrom(Math.max(times.notBeforeMs ?? 0, nowMs), rules);
  if (isTooLate(dueMs, times)) return EXPIRED;
  return dueMs > nowMs ? { kind: 'wait', notBeforeMs: dueMs } : BEGIN;
}

function isTooLate(startMs: number, { expiresAtMs }: Pick<SmsTimes, 'expiresAtMs'>): boolean {
  return expiresAtMs !== undefined && startMs > expiresAtMs - EXPIRY_MARGIN_MS;
}

/** What becomes of an SMS after an attempt. */
export type NextStep =
  | { readonly kind: 'finish'; readonly status: 'sent' }
  | {
      readonly kind: 'retry';
      /** Undefined where the SMS waits in the hold queues: no queue of the schedule keeps it for just that long. */
      readonly place: RetryPlace | undefined;
      readonly notBeforeMs: number;
    }
  | { readonly kind: 'finish'; readonly status: 'failed'; readonly reason: string };

/** A queue of the schedule. */
export interface RetryPlace {
  readonly failedAttempt: number;
  readonly delayMs: number;
}

/** The attempt just made, and the SMS it was made for. */
export interface MadeAttempt {
  readonly attempt: number;
  readonly result: AttemptResult;
  /** When it ended, milliseconds since the epoch. */
  readonly finishedAtMs: number;
  /** When the first attempt was due: when the SMS was accepted or, where it had to wait for a moment, that moment. */
  readonly anchorMs: number;
  readonly expiresAtMs: number | undefined;
}

/**
 * Decides the next step from the attempt just made. An SMS that comes back after the schedule was shortened gets the attempt
 * it waited for. If that fails, no wait is left and the SMS has failed.
 */
export function decideNextStep(made: MadeAttempt, rules: SendingRules): NextStep {
  const { attempt, result, finishedAtMs } = made;
  if (result.kind === 'sent') return { kind: 'finish', status: 'sent' };
  const delayMs = rules.schedule[attempt - 1];
  if (delayMs === undefined || isGivenUp(result, rules))
    return { kind: 'finish', status: 'failed', reason: reasonOf(result) };
  const notBeforeMs = openFrom(
    rules.anchor === 'accepted'
      ? // What was accepted while the window was closed was due at its opening.
        Math.max(finishedAtMs, openFrom(made.anchorMs, rules) + sumOf(rules.schedule, attempt))
      : finishedAtMs + delayMs,
    rules,
  );
  if (isTooLate(notBeforeMs, made)) return { kind: 'finish', status: 'failed', reason: REASONS.expired };
  const isScheduled = notBeforeMs === finishedAtMs + delayMs;
  return { kind: 'retry', place: isScheduled ? { failedAttempt: attempt, delayMs } : undefined, notBeforeMs };
}

function openFrom(timeMs: number, { window }: SendingRules): number {
  return window === undefined ? timeMs : openingFrom(window, timeMs);
}

function isGivenUp(result: AttemptResult, { unknownResult }: SendingRules): boolean {
  return result.kind === 'unknown'
    ? unknownResult === 'give-up'
    : result.kind === 'failed' && result.isPermanent;
}

function reasonOf(result: Exclude<AttemptResult, { readonly kind: 'sent' }>): string {
  return result.kind === 'unknown' ? REASONS.unknown : result.reason;
}

function sumOf(schedule: RetrySchedule, waits: number): number {
  return schedule.slice(0, waits).reduce((sum, waitMs) => sum + waitMs, 0);
}
