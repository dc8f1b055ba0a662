import { ServerUnavailableError } from '../../errors.ts';
import type { Clock } from '../../ports/clock.ts';

/** What a server said when it was asked, or why it said nothing. */
export type Answer<Reading> =
  | { readonly kind: 'answered'; readonly reading: Reading }
  | { readonly kind: 'silent'; readonly error: unknown };

/** Asks and never rejects. */
export async function askOnce<Reading>(ask: () => Promise<Reading>): Promise<Answer<Reading>> {
  try {
    return { kind: 'answered', reading: await ask() };
  } catch (error) {
    return { kind: 'silent', error };
  }
}

/** Asks once and never rejects. A server that hangs counts as silent once the deadline is over. */
export async function askWithin<Reading>(
  clock: Clock,
  deadlineMs: number,
  ask: () => Promise<Reading>,
): Promise<Answer<Reading>> {
  let cancel = () => {};
  const deadline = new Promise<Answer<Reading>>((resolve) => {
    cancel = clock.after(deadlineMs, () => resolve({ kind: 'silent', error: noAnswerWithin(deadlineMs) }));
  });
  try {
    return await Promise.race([askOnce(ask), deadline]);
  } finally {
    cancel();
  }
}

function noAnswerWithin(deadlineMs: number): ServerUnavailableError {
  return new ServerUnavailableError(`no answer within ${deadlineMs / 1_000} s`, { isRefusal: false });
}
