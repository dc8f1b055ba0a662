/**
 * What a sender has counted since its start, in plain numbers: counting an SMS costs some nanoseconds, whether anybody reads
 * the numbers or not. They are of this process alone. An attempt counts when the gateway has answered, also where its result
 * is lost with a connection and the SMS is attempted again: the counters in Redis count such an attempt once.
 *
 *   noteAttempt     performAttempt, once the gateway has answered
 *   notePassedOn    PassOn, once RabbitMQ has confirmed what a delivery led to
 *   noteStored      Claims, once an object is in S3 and counted in Redis
 */
import type { AttemptRecord } from '../../shared/domain/outcome/attempt.ts';
import { OUTCOME_STATUSES, type OutcomeStatus } from '../../shared/domain/outcome/outcome.ts';
import { isParking, type Settlement } from '../../shared/pipeline/attempt/settlement.ts';
import { BUCKETS_SECONDS } from '../../shared/pipeline/metrics/buckets.ts';

const BOUNDS_MS = BUCKETS_SECONDS.map((bound) => bound * 1_000);

/** How many values lie in each bucket of `BUCKETS_SECONDS`; the last one holds what is larger than all bounds. */
export class DurationTally {
  readonly counts = new Array<number>(BOUNDS_MS.length + 1).fill(0);
  sumMs = 0;

  note(valueMs: number): void {
    let bucket = 0;
    while (valueMs > (BOUNDS_MS[bucket] ?? Infinity)) bucket += 1;
    this.counts[bucket] = (this.counts[bucket] ?? 0) + 1;
    this.sumMs += valueMs;
  }
}

export class SenderTally {
  readonly attempts = { sent: 0, failed: 0, unknown: 0 };
  readonly processing = new DurationTally();
  /** Of attempts that had to wait for a moment. */
  readonly lateness = new DurationTally();
  retriedCount = 0;
  heldCount = 0;
  parkedCount = 0;
  readonly stored = Object.fromEntries(OUTCOME_STATUSES.map((status) => [status, 0])) as Record<
    OutcomeStatus,
    number
  >;

  /** Attempts that the gateway has answered. */
  get answeredCount(): number {
    const { sent, failed, unknown } = this.attempts;
    return sent + failed + unknown;
  }

  readonly noteAttempt = ({ result, tookMs, lateMs }: AttemptRecord): void => {
    if (result in this.attempts) this.attempts[result as keyof typeof this.attempts] += 1;
    this.processing.note(tookMs);
    // The clock of whoever wrote the moment may be ahead of ours.
    if (lateMs !== undefined) this.lateness.note(Math.max(0, lateMs));
  };

  readonly notePassedOn = (settlement: Settlement): void => {
    if (settlement.message === undefined) return;
    if (isParking(settlement)) this.parkedCount += 1;
    // The journal tells of an attempt, so its SMS waits for the next one.
    else if (settlement.journalLine !== undefined) this.retriedCount += 1;
    else this.heldCount += 1;
  };

  readonly noteStored = (status: OutcomeStatus, count: number): void => {
    this.stored[status] += count;
  };
}
