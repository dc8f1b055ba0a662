import { JOURNAL_VERSION } from './journal.ts';

/** In milliseconds, later than any start. */
const FAR_FUTURE_MS = 2 ** 42;

/**
 * The priority of a recorder as a consumer of the journal queue. RabbitMQ gives journal messages to the consumer with the
 * highest priority until that consumer holds its prefetch count, then to the next. So few recorders write few large objects
 * while there is little to record, and all of them work where there is much.
 *
 * The recorder that started earliest comes first, so a recorder that dies and starts again and again gets nothing. Of two
 * versions the newer one comes first, because the older one can only pass on lines that it does not know. A version from
 * before there were priorities has priority 0.
 */
export function recorderPriorityOf(startedAtMs: number, journalVersion: number = JOURNAL_VERSION): number {
  return journalVersion * FAR_FUTURE_MS - startedAtMs;
}
