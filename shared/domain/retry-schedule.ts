import type { GatewayResult } from './attempt.ts';
import { MAX_DURATION_MS, parseDuration } from './duration.ts';

/** The waits in milliseconds before the 2nd, 3rd, … attempt. Its length is the number of retries. */
export type RetrySchedule = readonly number[];

const MAX_RETRIES = 50;

/** Reads `5s,30s,2m`; all problems at once, each a sentence. */
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

/** What becomes of an SMS after an attempt. */
export type NextStep =
  | { readonly kind: 'finish'; readonly status: 'sent' }
  | {
      readonly kind: 'retry';
      readonly failedAttempt: number;
      readonly delayMs: number;
      readonly notBeforeMs: number;
    }
  | { readonly kind: 'finish'; readonly status: 'failed'; readonly reason: string };

/**
 * Decides the next step from the attempt just made. An SMS that comes back after the schedule was shortened
 * has had the attempt it waited for; if that failed there is no wait left and it gives up.
 * @param finishedAtMs when the attempt ended, milliseconds since the epoch; the wait runs from there
 */
export function decideNextStep(
  attempt: number,
  result: GatewayResult,
  schedule: RetrySchedule,
  finishedAtMs: number,
): NextStep {
  if (result.kind === 'sent') return { kind: 'finish', status: 'sent' };
  const delayMs = schedule[attempt - 1];
  if (result.isPermanent || delayMs === undefined)
    return { kind: 'finish', status: 'failed', reason: result.reason };
  return { kind: 'retry', failedAttempt: attempt, delayMs, notBeforeMs: finishedAtMs + delayMs };
}

/** The wait of the retry queue an early SMS goes back to: that of its last failed attempt, or the nearest there is. */
export function waitingPlaceOf(
  attempt: number,
  schedule: RetrySchedule,
): { readonly failedAttempt: number; readonly delayMs: number } | undefined {
  const failedAttempt = Math.min(Math.max(attempt - 1, 1), schedule.length);
  const delayMs = schedule[failedAttempt - 1];
  return delayMs === undefined ? undefined : { failedAttempt, delayMs };
}
