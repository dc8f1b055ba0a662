import { pause, untilAborted } from '../../shared/pipeline/waiting.ts';
import type { Clock } from '../../shared/ports/clock.ts';

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
    await untilAborted(look(), signal);
    const elapsedMs = clock.nowMs() - startedAtMs;
    const nextAtMs = (Math.floor(elapsedMs / intervalMs) + 1) * intervalMs;
    // After a clock was set back, the next look comes within one interval all the same.
    await pause(clock, Math.min(nextAtMs - elapsedMs, intervalMs), signal);
  }
}

/** How long to wait for a server: 5 s at most, and short enough to keep the interval, unless that is very short. */
export function readingDeadlineMs(intervalMs: number): number {
  return Math.min(Math.max(intervalMs * 0.8, 1_000), 5_000);
}
