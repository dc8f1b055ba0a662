import type { Lane } from '../../domain/topology/lanes.ts';

const MIN_AHEAD = 10;
// More than a sender begins within a millisecond, on a machine twice as fast as those measured.
const BEGUN_PER_MS = 60;

/**
 * How many deliveries of a lane a sender may hold: those being sent, and as many as it can begin within `aheadMs`. More would
 * lie here while other senders have nothing to do, and would take memory. Fewer would leave places empty between confirms.
 */
export function prefetchCountFor(
  concurrency: number,
  meanProcessingMs: number,
  { maxAhead, aheadMs }: Pick<Lane, 'maxAhead' | 'aheadMs'>,
): number {
  const beingSent = Math.min(concurrency, Math.ceil(BEGUN_PER_MS * meanProcessingMs));
  const begunAheadOfTime = Math.ceil((concurrency * aheadMs) / Math.max(meanProcessingMs, 1));
  return beingSent + Math.min(Math.max(begunAheadOfTime, MIN_AHEAD), maxAhead);
}
