import { contentOf, type OutcomeRecord } from '../shared/domain/outcome.ts';
import type { Digest } from '../shared/domain/parking.ts';
import type { OutcomeSummary } from '../shared/ports.ts';

/** What the counters need to know of a record. */
export function summarise(record: OutcomeRecord, digest: Digest): OutcomeSummary {
  const { smsId, run, status, attempts } = record;
  return { smsId, run, status, attempts, contentDigest: digest(contentOf(record)) };
}
