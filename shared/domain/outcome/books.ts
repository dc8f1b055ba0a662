/** The books of a run, or of all runs: accepted = sent + failed + parked + known + in progress. */
import type { OutcomeStatus } from './outcome.ts';

/** How many SMS have each outcome. */
export type OutcomeCounts = Readonly<Record<OutcomeStatus, number>>;

/** What is counted of a run while its SMS are sent. */
export interface BookCounts extends OutcomeCounts {
  /** SMS that the producer has announced as accepted. */
  readonly announced: number;
  /** SMS that senders have met. */
  readonly met: number;
}

export function outcomesIn({ sent, failed, parked, known }: OutcomeCounts): number {
  return sent + failed + parked + known;
}

/** Accepted is the larger of what was announced and what senders met. An SMS with an outcome was met. */
export function acceptedOf(counts: BookCounts): number {
  return Math.max(counts.announced, counts.met, outcomesIn(counts));
}

/** SMS that are accepted and have no outcome. */
export function inProgressIn(counts: BookCounts): number {
  return acceptedOf(counts) - outcomesIn(counts);
}
