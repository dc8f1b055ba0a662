/**
 * What the journal of this version may hold. Raise it with each new kind of line, status or result: recorders that know
 * less get what is left over. Version 2 tells starts of attempts in microseconds.
 */
export const JOURNAL_VERSION = 2;

/** In milliseconds, later than any start. */
const FAR_FUTURE_MS = 2 ** 42;

/**
 * The priority of a recorder as a consumer of the journal queue. RabbitMQ gives journal messages to the consumer of the
 * highest priority until its hands are full, then to the next. So few recorders write few large objects while there
 * is little to record, and all of them work where there is much.
 *
 * The recorder that was started earliest comes first: one that dies and starts again and again gets nothing. Among two
 * versions the newer one comes first, for the older one could only pass lines on that it does not know. A version
 * from before there were priorities has 0.
 */
export function recorderPriorityOf(startedAtMs: number, journalVersion: number = JOURNAL_VERSION): number {
  return journalVersion * FAR_FUTURE_MS - startedAtMs;
}
