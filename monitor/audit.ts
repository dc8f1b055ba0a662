/**
 * The audit: does every accepted SMS have exactly one outcome, and do the counters say so too?
 *
 * Things move while they are read, and the broker's numbers are old, so the order is what makes it right:
 *
 *   queues ─► counters ─► S3 in full ─► counters (again, while they disagree)
 *     all accepted have an outcome: done, nothing is missing
 *     something waits in a queue: done, what is missing cannot be said yet
 *     else: wait until the broker's statistics are newer than the books ─► queues
 *       something waits: as above
 *       still empty: counters and S3 again. Nothing has moved: what has no outcome now is missing.
 *       Something has moved: the emptiness was only seen between two places; once more, a few times at most.
 *
 * An SMS is always in a queue or, before it leaves the last one, in S3. So an S3 that is read after the queues
 * were empty holds the outcome of all that was accepted before they were. At the end: which of those that wait in
 * a retry queue should have come back already (overdue-sms.ts).
 */
import type { OutcomePrefixes } from '../shared/domain/outcome-object.ts';
import { PatientObjects, type ReadableObjects } from '../shared/pipeline/archive/patient-objects.ts';
import type {
  Clock,
  CounterReader,
  FullCounterReading,
  OverdueReader,
  QueueReader,
  QueueReadings,
} from '../shared/ports.ts';
import { type Answer, askWithin, pause } from './answer.ts';
import { type AuditReport, makeReport } from './audit-report.ts';
import { keepBooks, outcomesIn, type RunBooks, type StoreReading, sumOf } from './books.ts';
import { findDisagreements } from './disagreements.ts';
import { findOverdue } from './overdue-sms.ts';
import { measureDepths, waitingIn } from './queue-depths.ts';
import { readStore } from './read-store.ts';
import { repeatRead } from './repeat-read.ts';
import { inProgressIn } from './snapshot.ts';

export interface AuditedServers {
  readonly objects: ReadableObjects;
  readonly counters: Pick<CounterReader, 'readInFull'>;
  readonly queues: QueueReader;
  readonly overdue: OverdueReader;
  readonly clock: Clock;
}

export interface AuditOptions {
  /** QUEUE_NAME. */
  readonly queue: string;
  readonly prefixes: OutcomePrefixes;
  /** KEEP_TIME: an id that finished again after it is another SMS. */
  readonly keepTimeMs: number;
  readonly run?: string | undefined;
  /** After this long the queues' numbers are newer than what was read before. */
  readonly statisticsIntervalMs?: number;
  /** As OverdueOptions has it. */
  readonly graceMs?: number;
}

/** What the queues say about whether all accepted SMS have come to their end. */
export type Stillness =
  /** Empty, long enough, and S3 was read after: what has no outcome is missing. */
  | { readonly kind: 'still' }
  /** Something waits in the queues. */
  | { readonly kind: 'moving' }
  /** Nothing was seen waiting, but that cannot be relied on. */
  | { readonly kind: 'unknown'; readonly reason: string };

/** One reading of everything. */
export interface Round {
  readonly store: StoreReading;
  readonly books: readonly RunBooks[];
  readonly counters: Answer<FullCounterReading>;
  readonly disagreements: readonly string[];
}

// A quorum queue tells its numbers every 5 s by default; and a margin.
const STATISTICS_INTERVAL_MS = 6_000;
const READING_DEADLINE_MS = 10_000;
const MAX_ROUNDS = 4;
const MAX_COUNTER_REPEATS = 3;
const COUNTER_REPEAT_MS = 1_000;

/** @throws ServerUnavailableError where S3 cannot be read: without it there is nothing to audit */
export async function audit(servers: AuditedServers, options: AuditOptions): Promise<AuditReport> {
  const intervalMs = options.statisticsIntervalMs ?? STATISTICS_INTERVAL_MS;
  let queues = await readQueues(servers);
  let round = await readRound(servers, options);
  let stillness = judgeQueues(queues, options.queue, openIn(round));
  for (let rounds = 1; stillness === undefined; rounds += 1) {
    await pause(servers.clock, intervalMs);
    queues = await readQueues(servers);
    stillness = judgeQueues(queues, options.queue, openIn(round));
    if (stillness !== undefined) break;
    const again = await readRound(servers, options);
    if (movementOf(again) === movementOf(round)) stillness = { kind: 'still' };
    else if (rounds >= MAX_ROUNDS) stillness = { kind: 'unknown', reason: STILL_MOVING };
    round = again;
  }
  const overdue = await findOverdue(
    servers,
    {
      ...options,
      ...{ stepMs: intervalMs / 4, readingDeadlineMs: READING_DEADLINE_MS, isAllDone: isAllDone(round) },
    },
    queues,
  );
  return makeReport({ round, queues, stillness, overdue, run: options.run, queue: options.queue });
}

const STILL_MOVING = 'outcomes keep arriving although the queues look empty: run the audit again';

/** Undefined where all depends on whether the queues are empty, and stay so. */
function judgeQueues(
  queues: Answer<QueueReadings>,
  prefix: string,
  openCount: number,
): Stillness | undefined {
  if (queues.kind === 'silent')
    return { kind: 'unknown', reason: 'RabbitMQ did not tell what is in the queues' };
  const { queues: readings, readyAgeMs } = queues.reading;
  // Where nothing is open, nobody has anything in hand: what waits is known as it is now.
  const isReadyEnough = openCount === 0 && readyAgeMs === 0;
  const depths = measureDepths(prefix, readings, ({ ready, messages }) => (isReadyEnough ? ready : messages));
  if (waitingIn(depths) > 0) return { kind: 'moving' };
  if (openCount === 0) return { kind: 'still' };
  return queues.reading.isComplete ? undefined : { kind: 'unknown', reason: READY_ONLY };
}

const READY_ONLY =
  'whether SMS are missing cannot be said without the management API: what is being sent right now is seen only there';

function readQueues({ clock, queues }: AuditedServers): Promise<Answer<QueueReadings>> {
  return askWithin(clock, READING_DEADLINE_MS, () => queues.read());
}

function readCounters({ clock, counters }: AuditedServers): Promise<Answer<FullCounterReading>> {
  return askWithin(clock, READING_DEADLINE_MS, () => counters.readInFull());
}

async function readRound(servers: AuditedServers, options: AuditOptions): Promise<Round> {
  const before = validOf(await readCounters(servers));
  const objects = new PatientObjects(servers.objects, repeatRead(servers.clock));
  const { prefixes, queue, keepTimeMs } = options;
  const store = await readStore(objects, prefixes, queue, keepTimeMs, before?.conflictingIds);
  for (let repeats = 0; ; repeats += 1) {
    const counters = await readCounters(servers);
    const after = validOf(counters);
    const books = keepBooks(store, after, options.run);
    const disagreements =
      after === undefined ? [] : findDisagreements({ store, books, before, after, run: options.run });
    if (disagreements.length === 0 || repeats >= MAX_COUNTER_REPEATS) {
      return { store, books, counters, disagreements };
    }
    // An object is counted a moment after it was stored.
    await pause(servers.clock, COUNTER_REPEAT_MS);
  }
}

function validOf(counters: Answer<FullCounterReading>): FullCounterReading | undefined {
  return counters.kind === 'answered' && counters.reading.areValid ? counters.reading : undefined;
}

function openIn({ books }: Round): number {
  return sumOf(books, ({ open }) => open);
}

/** True where each SMS that anybody knows has its outcome. */
function isAllDone(round: Round): boolean {
  const counters = validOf(round.counters);
  if (counters === undefined || openIn(round) > 0) return false;
  return [...counters.runs.values(), counters.done.counters].every((run) => inProgressIn(run) === 0);
}

/** Changes when an SMS is accepted, attempted or done. */
function movementOf({ books, counters }: Round): string {
  const { runs, done } = validOf(counters) ?? {};
  const open = [...(runs?.values() ?? [])];
  const attempts = open.reduce((sum, run) => sum + run.attempts, done?.counters.attempts ?? 0);
  const accepted = sumOf(books, (run) => run.accepted);
  const outcomes = sumOf(books, ({ stored }) => outcomesIn(stored));
  return [accepted, outcomes, attempts].join(' ');
}
