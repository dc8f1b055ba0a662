/**
 * Finds SMS that should have come back from their retry or hold queue and have not. There are two kinds:
 *
 * - Ready in the queue past their time: RabbitMQ did not expire them, or somebody declared the queue without a TTL.
 *   They are found at the head of the queue, with the moment they were due.
 * - Expired, while RabbitMQ cannot hand them to the due queue, because that queue or its binding is gone. Nobody can
 *   fetch them, and they count as neither ready nor unacknowledged. SMS that are just being handed over count in the same
 *   way, thousands at times, but their number falls again and again. A number that never falls while the grace passes
 *   is that of stuck SMS. A healthy queue shows a fall mostly within one step.
 */
import { NOTHING_OVERDUE, OVERDUE_GRACE_MS, type OverdueCount } from '../../domain/schedule/overdue.ts';
import { waitingQueueNamesOf } from '../../domain/topology/topology.ts';
import { describeError } from '../../errors.ts';
import type { Clock } from '../../ports/clock.ts';
import type { OverdueReader } from '../../ports/overdue-reader.ts';
import type { QueueReader, QueueReading, QueueReadings } from '../../ports/queue-reader.ts';
import { pause } from '../waiting.ts';
import { type Answer, askWithin } from './answer.ts';

export interface OverdueOptions {
  /** QUEUE_NAME. */
  readonly queue: string;
  /** Between two readings of the queues. */
  readonly stepMs: number;
  readonly readingDeadlineMs: number;
  /** True where each SMS that anybody knows has its outcome: older numbers of these queues are out of date then. */
  readonly isAllDone?: boolean;
  /** How long a number must not fall; the grace unless a test is in a hurry. */
  readonly graceMs?: number;
}

export type OverdueFindings =
  | {
      readonly kind: 'told';
      /** Ready past their time, in all retry and hold queues. */
      readonly ready: OverdueCount;
      /** Undefined without the management API, which alone counts them. */
      readonly stuck: StuckCount | undefined;
    }
  /** Without a reason where RabbitMQ told nothing about its queues at all. */
  | { readonly kind: 'unknown'; readonly reason?: string };

/** Expired SMS that RabbitMQ does not get rid of. */
export interface StuckCount {
  readonly count: number;
  /** When they were first seen, milliseconds since the epoch; they are stuck for longer. */
  readonly seenAtMs: number;
  readonly watchedMs: number;
}

// The adapter gives up earlier by itself, and then it says why.
const SEARCH_DEADLINE_MS = 30_000;

export async function findOverdue(
  servers: { readonly queues: QueueReader; readonly overdue: OverdueReader; readonly clock: Clock },
  options: OverdueOptions,
  readings: Answer<QueueReadings>,
): Promise<OverdueFindings> {
  if (readings.kind === 'silent') return { kind: 'unknown' };
  const names = new Set(waitingQueueNamesOf(options.queue, readings.reading.queues));
  const isReadyEnough = options.isAllDone === true && readings.reading.readyAgeMs === 0;
  const retries = readings.reading.queues.filter(
    ({ name, ready, messages }) => names.has(name) && (isReadyEnough ? ready : messages) > 0,
  );
  const { isComplete } = readings.reading;
  if (retries.length === 0)
    return { kind: 'told', ready: NOTHING_OVERDUE, stuck: isComplete ? NOTHING_STUCK : undefined };
  const found = await askWithin(servers.clock, SEARCH_DEADLINE_MS, () =>
    servers.overdue.read(retries.map(({ name }) => name)),
  );
  if (found.kind === 'silent') return { kind: 'unknown', reason: describeError(found.error) };
  const stuck = isComplete ? await watchStuck(servers, options, retries) : undefined;
  return { kind: 'told', ready: sumOf([...found.reading.values()]), stuck };
}

export const NOTHING_STUCK: StuckCount = { count: 0, seenAtMs: 0, watchedMs: 0 };

function sumOf(counts: readonly OverdueCount[]): OverdueCount {
  const dueTimes = counts.flatMap(({ firstDueAtMs }) => firstDueAtMs ?? []);
  return {
    overdueCount: counts.reduce((sum, { overdueCount }) => sum + overdueCount, 0),
    firstDueAtMs: dueTimes.length === 0 ? undefined : Math.min(...dueTimes),
    unknownCount: counts.reduce((sum, { unknownCount }) => sum + unknownCount, 0),
    isWhole: counts.every(({ isWhole }) => isWhole),
  };
}

/** Undefined where the queues cannot be read any more. */
async function watchStuck(
  { queues, clock }: { readonly queues: QueueReader; readonly clock: Clock },
  { stepMs, readingDeadlineMs, graceMs = OVERDUE_GRACE_MS }: OverdueOptions,
  retries: readonly QueueReading[],
): Promise<StuckCount | undefined> {
  const seenAtMs = clock.nowMs();
  const first = deadLetteringIn(retries);
  let last = first;
  while (last.size > 0 && clock.nowMs() - seenAtMs < graceMs) {
    await pause(clock, stepMs);
    const answer = await askWithin(clock, readingDeadlineMs, () => queues.read());
    if (answer.kind === 'silent' || !answer.reading.isComplete) return undefined;
    last = thatDidNotFall(last, deadLetteringIn(answer.reading.queues));
  }
  // What has been there from the first reading on: newer ones have not been seen for long.
  const count = [...last.keys()].reduce((sum, name) => sum + (first.get(name) ?? 0), 0);
  return { count, seenAtMs, watchedMs: clock.nowMs() - seenAtMs };
}

function deadLetteringIn(queues: readonly QueueReading[]): Map<string, number> {
  return new Map(
    queues.flatMap(({ name, deadLettering = 0 }) => (deadLettering > 0 ? [[name, deadLettering]] : [])),
  );
}

function thatDidNotFall(
  before: ReadonlyMap<string, number>,
  now: ReadonlyMap<string, number>,
): Map<string, number> {
  return new Map([...now].filter(([name, count]) => count >= (before.get(name) ?? Number.POSITIVE_INFINITY)));
}
