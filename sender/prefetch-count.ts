const AHEAD_MS = 250;
const MAX_AHEAD = 500;

/**
 * How many deliveries of a lane a sender may hold: those being sent, and what it can begin within a quarter of a
 * second. More would lie here while other senders have nothing to do; less would leave places empty between
 * confirms; and what waits here is memory.
 */
export function prefetchCountFor(concurrency: number, meanProcessingMs: number): number {
  const begunAheadOfTime = Math.ceil((concurrency * AHEAD_MS) / Math.max(meanProcessingMs, 1));
  return concurrency + Math.min(Math.max(begunAheadOfTime, 10), MAX_AHEAD);
}
