import { contentOf, type OutcomeRecord } from '../shared/domain/outcome.ts';
import type { Digest } from '../shared/domain/parking.ts';
import type { OutcomeSummary } from '../shared/ports.ts';

// Two contents of one id are told apart by them, nothing else.
const DIGEST_DIGITS = 16;

/** What the counters need to know of a record. */
export function summarise(record: OutcomeRecord, digest: Digest): OutcomeSummary {
  const { smsId, run, status, attempts } = record;
  return { smsId, run, status, attempts, contentDigest: digest(contentOf(record)).slice(0, DIGEST_DIGITS) };
}
