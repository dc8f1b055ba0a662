import type { Clock } from '../shared/ports.ts';
import { pause } from './answer.ts';

/**
 * Calls `look` at the start and then at every full interval after it, so that the times do not drift. One that
 * takes longer than the interval makes the next one wait for the following full interval. Ends within moments of
 * the signal, even in the middle of a look.
 */
export async function watch(
  clock: Clock,
  intervalMs: number,
  signal: AbortSignal,
  look: () => Promise<void>,
): Promise<void> {
  const startedAtMs = clock.nowMs();
  while (!signal.aborted) {
    await orAborted(look(), signal);
    const elapsedMs = clock.nowMs() - startedAtMs;
    const nextAtMs = (Math.floor(elapsedMs / intervalMs) + 1) * intervalMs;
    // A clock that was set back must not make us sleep until it is where it was.
    await pause(clock, Math.min(nextAtMs - elapsedMs, intervalMs), signal);
  }
}

/** How long to wait for a server: 5 s at most, and short enough to keep the interval, unless that is very short. */
export function readingDeadlineMs(intervalMs: number): number {
  return Math.min(Math.max(intervalMs * 0.8, 1_000), 5_000);
}

/** Resolves or rejects with the work, or resolves when the signal aborts. */
function orAborted(work: Promise<void>, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve, reject) => {
    const onAbort = () => resolve();
    signal.addEventListener('abort', onAbort);
    // Listens no longer than it must: a monitor that runs for months makes millions of looks.
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
