/** `producer requeue-overdue`: what is stuck in a retry or hold queue past its time is moved to the due queue. */
import { formatCount } from '../../shared/domain/format-count.ts';
import type { OverdueReader } from '../../shared/ports/overdue-reader.ts';

export interface RequeueParts {
  readonly overdue: OverdueReader;
  /** Moves the overdue SMS of one queue; tells how many. */
  readonly move: (queueName: string, overdueCount: number) => Promise<number>;
  readonly shutdown: AbortSignal;
}

/** What `producer requeue-overdue --json` prints, in this order. */
export interface RequeueSummary {
  /** SMS that are in the due queue now, and not where they waited any more. */
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
  waitingQueueNames: readonly string[],
): Promise<Requeued> {
  let movedCount = 0;
  for (;;) {
    if (shutdown.aborted) return { movedCount, leftCount: undefined, unknownCount: 0 };
    const found = [...(await overdue.read(waitingQueueNames))];
    const unknownCount = found.reduce((sum, [, count]) => sum + count.unknownCount, 0);
    const leftCount = found.reduce((sum, [, count]) => sum + count.overdueCount, 0);
    let movedNow = 0;
    for (const [queueName, { overdueCount }] of found) {
      if (overdueCount === 0 || shutdown.aborted) continue;
      movedNow += await move(queueName, overdueCount);
    }
    movedCount += movedNow;
    if (movedNow === 0 && !shutdown.aborted) return { movedCount, leftCount, unknownCount };
  }
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
export function renderRequeue({ moved, left, expired, seconds }: RequeueSummary, queue: string): string {
  const lines = [`Moved     ${formatCount(moved)} overdue SMS to ${queue}.due in ${seconds} s`];
  if (left !== null && left > 0) lines.push(`Left      ${formatCount(left)} SMS that could not be moved`);
  if (expired !== null && expired > 0) {
    lines.push(`Expired   ${formatCount(expired)} SMS that RabbitMQ itself hands to ${queue}.due`);
  }
  return `${lines.join('\n')}\n`;
}

/** What an interrupted command has left. */
export function describeUnmoved({ moved }: RequeueSummary): string {
  return (
    `${formatCount(moved)} SMS were moved, the others are where they were. ` +
    'The same command moves the rest.'
  );
}

/** What else there is to say, a sentence each. @param silence why the management API did not answer */
export function hintsOfRequeue(
  { expired }: RequeueSummary,
  unknownCount: number,
  silence: string | undefined,
): string[] {
  const hints: string[] = [];
  if (silence !== undefined) {
    hints.push(
      `${silence}; so only the hold queues and the retry queues of RETRY_SCHEDULE were looked at, and whether expired SMS wait for ` +
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
