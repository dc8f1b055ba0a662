import type { RunCounters } from './counter-reader.ts';

/** What is known of a run before it is produced: what was announced, and how many of its SMS senders have met. */
export type KnownRun = Pick<
  RunCounters,
  'announced' | 'acceptedUpTo' | 'input' | 'announcedAtSeconds' | 'hasInputConflict' | 'met'
>;

export interface KnownRunReader {
  /** @throws ServerUnavailableError, or CountersLostError where the counters are not valid */
  read(run: string): Promise<KnownRun>;
}
