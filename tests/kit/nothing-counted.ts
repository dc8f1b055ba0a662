import type { RunCounters } from '../../shared/ports/counter-reader.ts';

/** The counters of a run of which nothing is known. */
export const NOTHING_COUNTED: RunCounters = {
  announced: 0,
  acceptedUpTo: 0,
  input: undefined,
  announcedAtSeconds: undefined,
  hasInputConflict: false,
  met: 0,
  sent: 0,
  failed: 0,
  parked: 0,
  known: 0,
  failedByReason: new Map(),
  attempts: 0,
  attemptsFailed: 0,
  attemptsUnknown: 0,
  attemptsByNumber: new Map(),
  processingMsSum: 0,
  processingBuckets: new Map(),
  latenessBuckets: new Map(),
  maxLatenessMs: undefined,
  repeatedSends: 0,
  idConflicts: 0,
};
