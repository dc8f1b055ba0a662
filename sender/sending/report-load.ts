import type { SenderReport } from '../../shared/domain/sender-report.ts';
import type { Clock } from '../../shared/ports/clock.ts';

/** Two signs of life may come close together, and a rate of so short a time says nothing. */
const SHORTEST_MS = 1_000;

/** What a sender tells of itself, made when it is asked for: sending itself only counts. */
export function createLoadReport(
  host: string,
  clock: Clock,
  loadNow: () => { readonly inFlight: number; readonly answered: number },
): () => SenderReport {
  let before = { atMs: clock.nowMs(), answered: 0 };
  let attemptsPerSecond = 0;
  return () => {
    const { inFlight, answered } = loadNow();
    const tookMs = clock.nowMs() - before.atMs;
    // The clock may have been stepped back.
    if (tookMs >= SHORTEST_MS || tookMs < 0) {
      if (tookMs > 0) attemptsPerSecond = Math.round(((answered - before.answered) / tookMs) * 10_000) / 10;
      before = { atMs: clock.nowMs(), answered };
    }
    return { host, inFlight, attemptsPerSecond };
  };
}
