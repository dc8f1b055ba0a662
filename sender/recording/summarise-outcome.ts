import { countedReasonOf } from '../../shared/domain/outcome/failure-reason.ts';
import {
  CONTENT_DIGEST_DIGITS,
  contentOf,
  identityOf,
  type OutcomeRecord,
} from '../../shared/domain/outcome/outcome.ts';
import type { Digest } from '../../shared/domain/sms/parking.ts';
import type { OutcomeSummary } from '../../shared/ports/counter-store.ts';

/** What the counters need to know of a record. */
export function summarise(record: OutcomeRecord, digest: Digest): OutcomeSummary {
  const { run, status, attempts } = record;
  return {
    smsId: identityOf(record),
    run,
    status,
    // Those of an SMS that came again are repeated sends of the one that was met before.
    attempts: status === 'known' ? [] : attempts,
    contentDigest: digest(contentOf(record)).slice(0, CONTENT_DIGEST_DIGITS),
    reason: countedReasonOf(record),
  };
}
