/**
 * What became of a directive. A command never claims more than it knows:
 *
 *   where the SMS is                     cancel                         retry-now
 *   has its outcome before               already sent|failed|parked     already sent|failed|parked
 *   never met, in a queue of fresh SMS   not met yet                    unknown id
 *   never met, in a hold queue           cancelled                      sent now
 *   in a retry or hold queue             cancelled                      sent now
 *   due, or in the hand of a sender      cancelled once it ended so,    being sent
 *                                        else as it ended, else
 *                                        being sent
 *   the same, ended without a note       already sent|failed|parked     (as before)
 *   not every sender has answered        not certain                    not certain
 *
 * `not met yet` and `being sent` of a cancel hold a promise too: all senders know of it, and no further attempt begins.
 */

export interface Known {
  /** As Redis told it before the directive was given: `sent`, `failed`, `parked`, `known`, `in progress`, or nothing. */
  readonly before: string | undefined;
  /** The same afterwards. */
  readonly state: string | undefined;
  /** A sender said that it ended the SMS because of the directive. */
  readonly isMet: boolean;
  /** It waited, and RabbitMQ sent it to the senders. */
  readonly wasPulled: boolean;
  /** Every sender that takes SMS knows the directive. */
  readonly isCertain: boolean;
}

export const RESULTS = [
  ...(['cancelled', 'sent now', 'already sent', 'already failed', 'already parked'] as const),
  ...(['being sent', 'not met yet', 'unknown id', 'not certain'] as const),
] as const;
export type Result = (typeof RESULTS)[number];

export function hasEnded(state: string | undefined): state is string {
  return state !== undefined && state !== 'in progress';
}

function endedAs(state: string): Result {
  if (state === 'failed' || state === 'parked') return `already ${state}`;
  return 'already sent';
}

export function judgeCancel({ before, state, isMet, wasPulled, isCertain }: Known): Result {
  if (hasEnded(before)) return endedAs(before);
  if (hasEnded(state)) return state === 'failed' && isMet ? 'cancelled' : endedAs(state);
  if (!isCertain) return 'not certain';
  if (isMet || wasPulled) return 'cancelled';
  return state === undefined ? 'not met yet' : 'being sent';
}

export function judgeSentNow({ before, wasPulled, isCertain }: Known): Result {
  if (hasEnded(before)) return endedAs(before);
  if (wasPulled) return isCertain ? 'sent now' : 'not certain';
  return before === undefined ? 'unknown id' : 'being sent';
}

/** True where the command did what it was asked for, or made sure that it will be. */
export function isDone(result: Result): boolean {
  return result === 'cancelled' || result === 'sent now' || result === 'not met yet';
}

const EXPLAINED: Readonly<Partial<Record<Result, string>>> = {
  'not met yet': 'not met yet: it will be cancelled when a sender takes it',
  'not certain': 'not certain: not every sender has answered; give the command again',
};

/** A line for people. @param command cancel or retry-now */
export function explain(result: Result, command: string): string {
  if (result === 'being sent' && command === 'cancel')
    return 'being sent: an attempt may be on its way, no further one will begin';
  return EXPLAINED[result] ?? result;
}
