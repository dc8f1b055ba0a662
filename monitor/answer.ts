import { ServerUnavailableError } from '../shared/errors.ts';
import type { Clock } from '../shared/ports.ts';

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

/** Asks once and never rejects: who hangs is as silent as who is gone. */
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

/** Resolves after the time, or at once when the signal aborts. */
export function pause(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted === true) return Promise.resolve();
  return new Promise((resolve) => {
    const wake = () => {
      cancel();
      signal?.removeEventListener('abort', wake);
      resolve();
    };
    const cancel = clock.after(delayMs, wake);
    signal?.addEventListener('abort', wake);
  });
}

function noAnswerWithin(deadlineMs: number): ServerUnavailableError {
  return new ServerUnavailableError(`no answer within ${deadlineMs / 1_000} s`, { isRefusal: false });
}
