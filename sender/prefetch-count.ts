const AHEAD_MS = 250;
const MIN_AHEAD = 10;
// More than a sender begins within a millisecond, on a machine twice as fast as those measured.
const BEGUN_PER_MS = 60;

/**
 * How many deliveries of a lane a sender may hold: those being sent, and what it can begin within a quarter of a
 * second. More would lie here while other senders have nothing to do; less would leave places empty between
 * confirms; and what waits here is memory.
 * @param maxAhead those beside the ones being sent, at most
 */
export function prefetchCountFor(concurrency: number, meanProcessingMs: number, maxAhead: number): number {
  const beingSent = Math.min(concurrency, Math.ceil(BEGUN_PER_MS * meanProcessingMs));
  const begunAheadOfTime = Math.ceil((concurrency * AHEAD_MS) / Math.max(meanProcessingMs, 1));
  return beingSent + Math.min(Math.max(begunAheadOfTime, MIN_AHEAD), maxAhead);
}
