import { contentOf, identityOf, type OutcomeRecord } from '../shared/domain/outcome.ts';
import type { Digest } from '../shared/domain/parking.ts';
import type { OutcomeSummary } from '../shared/ports.ts';

// Two contents of one id are told apart by them, nothing else.
const DIGEST_DIGITS = 16;

/** What the counters need to know of a record. */
export function summarise(record: OutcomeRecord, digest: Digest): OutcomeSummary {
  const { run, status, attempts } = record;
  return {
    smsId: identityOf(record),
    run,
    status,
    // Those of an SMS that came again are repeated sends of the one that was met before.
    attempts: status === 'known' ? [] : attempts,
    contentDigest: digest(contentOf(record)).slice(0, DIGEST_DIGITS),
  };
}
