/** `--requeue-overdue`: what is stuck in a retry queue past its time is moved to the due queue. */
import type { OverdueCount } from '../shared/domain/overdue.ts';
import type { OverdueReader } from '../shared/ports.ts';
import { formatCount } from './summary.ts';

export interface RequeueParts {
  readonly overdue: OverdueReader;
  /** Moves the overdue SMS of one queue; tells how many. */
  readonly move: (queueName: string, overdueCount: number) => Promise<number>;
  readonly shutdown: AbortSignal;
}

/** What `--requeue-overdue --json` prints, in this order. */
export interface RequeueSummary {
  /** SMS that are in the due queue now, and not in their retry queue any more. */
  readonly moved: number;
  /** SMS that are overdue still; null where it was interrupted before that was known. */
  readonly left: number | null;
  /** SMS that have expired, which RabbitMQ itself must hand over; null without the management API. */
  readonly expired: number | null;
  readonly seconds: number;
}

export interface Requeued {
  readonly movedCount: number;
  readonly leftCount: number | undefined;
  /** Messages that were met and do not say when they are due. */
  readonly unknownCount: number;
}

/**
 * Looks and moves by turns, until nothing is overdue or nothing moves any more. A queue that works is looked at and
 * not touched further.
 */
export async function requeueOverdue(
  { overdue, move, shutdown }: RequeueParts,
  retryQueueNames: readonly string[],
): Promise<Requeued> {
  let movedCount = 0;
  for (;;) {
    if (shutdown.aborted) return { movedCount, leftCount: undefined, unknownCount: 0 };
    const found = [...(await overdue.read(retryQueueNames))];
    const unknownCount = sumOf(found, (count) => count.unknownCount);
    const leftCount = sumOf(found, (count) => count.overdueCount);
    let movedNow = 0;
    for (const [queueName, { overdueCount }] of found) {
      if (overdueCount === 0 || shutdown.aborted) continue;
      movedNow += await move(queueName, overdueCount);
    }
    movedCount += movedNow;
    if (movedNow === 0 && !shutdown.aborted) return { movedCount, leftCount, unknownCount };
  }
}

function sumOf(
  found: readonly (readonly [string, OverdueCount])[],
  of: (count: OverdueCount) => number,
): number {
  return found.reduce((sum, [, count]) => sum + of(count), 0);
}

export function summarizeRequeue(
  { movedCount, leftCount }: Requeued,
  expired: number | undefined,
  elapsedMs: number,
): RequeueSummary {
  return {
    moved: movedCount,
    left: leftCount ?? null,
    expired: expired ?? null,
    seconds: Math.max(0, Math.round(elapsedMs)) / 1_000,
  };
}

/** The summary for people, each line with its line feed. @param queue QUEUE_NAME */
export function describeRequeue({ moved, left, expired, seconds }: RequeueSummary, queue: string): string {
  const lines = [`Moved     ${formatCount(moved)} overdue SMS to ${queue}.due in ${seconds} s`];
  if (left !== null && left > 0) lines.push(`Left      ${formatCount(left)} SMS that could not be moved`);
  if (expired !== null && expired > 0) {
    lines.push(`Expired   ${formatCount(expired)} SMS that RabbitMQ itself hands to ${queue}.due`);
  }
  return `${lines.join('\n')}\n`;
}

/** What else there is to say, a sentence each. @param silence why the management API did not answer */
export function describeRequeueHints(
  { expired }: RequeueSummary,
  unknownCount: number,
  silence: string | undefined,
): string[] {
  const hints: string[] = [];
  if (silence !== undefined) {
    hints.push(
      `${silence}; so only the retry queues of RETRY_SCHEDULE were looked at, and whether expired SMS wait for ` +
        'RabbitMQ to hand them over is not known',
    );
  }
  if (expired !== null && expired > 0) {
    hints.push(
      'nobody can fetch an expired SMS. Its queue and binding are declared again, and RabbitMQ tries again by itself: ' +
        'within 15 s on brokers that Redial starts, within 180 s on others (dead_letter_worker_publisher_confirm_timeout)',
    );
  }
  if (unknownCount > 0) {
    hints.push(
      `${unknownCount === 1 ? '1 message stays where it is' : `${formatCount(unknownCount)} messages stay where they are`}: ` +
        'without a time in the header notBefore nobody can say what is overdue',
    );
  }
  return hints;
}
