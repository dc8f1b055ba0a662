/**
 * The audit: does every accepted SMS have exactly one outcome, and do the counters say so too?
 *
 * SMS move while the audit reads, and the broker's numbers are old. The order of the readings makes the audit right:
 *
 *   queues ─► counters ─► S3 in full ─► counters (again, while they disagree)
 *     something waits in a queue, of whatever run: done, what is missing cannot be said yet
 *     all accepted have an outcome: done, nothing is missing
 *     else: wait until the broker's statistics are newer than the books ─► queues
 *       something waits: as above
 *       still empty: counters and S3 again. Nothing has moved: what has no outcome now is missing.
 *       Something has moved: an SMS was between two places when both looked empty; once more, a few times at most.
 *
 * An SMS is always in a queue or in S3: it leaves its last queue only after it is in S3. So an S3 that is read after
 * the queues were empty holds the outcomes of all SMS accepted before. At the end the audit tells which SMS that wait in
 * a retry or hold queue should have come back already (overdue-sms.ts).
 */

import { inProgressIn, outcomesIn } from '../../shared/domain/outcome/books.ts';
import type { RunAnnouncement } from '../../shared/domain/outcome/outcome.ts';
import type { OutcomePrefixes } from '../../shared/domain/outcome/outcome-object.ts';
import { Archive } from '../../shared/pipeline/archive/archive.ts';
import { PatientObjects, type ReadableObjects } from '../../shared/pipeline/archive/patient-objects.ts';
import { type Answer, askWithin } from '../../shared/pipeline/readings/answer.ts';
import { findOverdue } from '../../shared/pipeline/readings/overdue-sms.ts';
import { measureDepths, waitingIn } from '../../shared/pipeline/readings/queue-depths.ts';
import { repeatRead } from '../../shared/pipeline/readings/repeat-read.ts';
import { pause } from '../../shared/pipeline/waiting.ts';
import type { Clock } from '../../shared/ports/clock.ts';
import type { CounterReader, FullCounterReading } from '../../shared/ports/counter-reader.ts';
import type { OverdueReader } from '../../shared/ports/overdue-reader.ts';
import type { QueueReader, QueueReadings } from '../../shared/ports/queue-reader.ts';
import { type AuditReport, makeReport } from './audit-report.ts';
import { chosenCounters, keepBooks, type RunBooks, type StoreReading, sumOf } from './books.ts';
import { findDisagreements } from './disagreements.ts';
import { StoredOutcomes } from './stored-outcomes.ts';

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

/** Whether the queues show that no accepted SMS is on its way any more. */
export type Stillness =
  /** The queues were empty long enough, and S3 was read after that: an SMS without an outcome is missing. */
  | { readonly kind: 'still' }
  /** The queues hold something. */
  | { readonly kind: 'moving' }
  /** The queues look empty, but that cannot be relied on. */
  | { readonly kind: 'unknown'; readonly reason: string };

/** One reading of everything. */
export interface Round {
  readonly store: StoreReading;
  readonly books: readonly RunBooks[];
  readonly counters: Answer<FullCounterReading>;
  /** Undefined where Redis does not answer, or has to be rebuilt. */
  readonly validCounters: FullCounterReading | undefined;
  readonly disagreements: readonly string[];
}

// A quorum queue tells its numbers every 5 s by default, and there is a margin.
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
  const pace = { stepMs: intervalMs / 4, readingDeadlineMs: READING_DEADLINE_MS };
  const overdue = await findOverdue(servers, { ...options, ...pace, isAllDone: isAllDone(round) }, queues);
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
  // Where nothing is open, no sender has an SMS in hand, and the ready messages, which are of now, are all there are.
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
  const { run } = options;
  const before = validOf(await readCounters(servers));
  const store = await readStore(servers, options, before?.conflictingIds);
  for (let repeats = 0; ; repeats += 1) {
    const counters = await readCounters(servers);
    const after = validOf(counters);
    const books = keepBooks(store, after, run);
    const disagreements = after === undefined ? [] : findDisagreements({ store, books, before, after, run });
    if (disagreements.length === 0 || repeats >= MAX_COUNTER_REPEATS)
      return { store, books, counters, validCounters: after, disagreements };
    // An object is counted a moment after it was stored.
    await pause(servers.clock, COUNTER_REPEAT_MS);
  }
}

function validOf(counters: Answer<FullCounterReading>): FullCounterReading | undefined {
  return counters.kind === 'answered' && counters.reading.areValid ? counters.reading : undefined;
}

/** @param watchedIds as StoredOutcomes has them */
async function readStore(
  { objects, clock }: AuditedServers,
  { prefixes, queue, keepTimeMs }: AuditOptions,
  watchedIds?: readonly string[],
): Promise<StoreReading> {
  const archive = new Archive(new PatientObjects(objects, repeatRead(clock)), prefixes, queue);
  const announcements = new Map<string, RunAnnouncement>();
  const outcomes = new StoredOutcomes(keepTimeMs, watchedIds);
  // Announcements first: what they count was accepted before the outcomes were read.
  for await (const announcement of archive.announcements()) announcements.set(announcement.run, announcement);
  for await (const { records } of archive.outcomes()) for (const record of records) outcomes.add(record);
  const { unreadable, isBucketMissing } = archive;
  return { outcomes, announcements, unreadable, isBucketMissing };
}

function openIn({ books }: Round): number {
  return sumOf(books, 'open');
}

/** True where each SMS that anybody knows has its outcome. */
function isAllDone(round: Round): boolean {
  if (round.validCounters === undefined || openIn(round) > 0) return false;
  return chosenCounters(round.validCounters, undefined).every((run) => inProgressIn(run) === 0);
}

/** Changes when an SMS is accepted, attempted or done. */
function movementOf({ books, validCounters }: Round): string {
  const counters = validCounters === undefined ? [] : chosenCounters(validCounters, undefined);
  const outcomes = books.reduce((sum, run) => sum + outcomesIn(run), 0);
  return [sumOf(books, 'accepted'), outcomes, sumOf(counters, 'attempts')].join(' ');
}
