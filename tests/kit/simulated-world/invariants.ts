/** The laws of the design that must hold whatever happened in the world, each with its number in the design. */

import { bucketOf } from '../../../shared/domain/histogram.ts';
import type { AttemptRecord } from '../../../shared/domain/outcome/attempt.ts';
import { countedReasonOf } from '../../../shared/domain/outcome/failure-reason.ts';
import { decodeJournal } from '../../../shared/domain/outcome/journal.ts';
import {
  OUTCOME_STATUSES,
  type OutcomeRecord,
  type OutcomeStatus,
} from '../../../shared/domain/outcome/outcome.ts';
import {
  announcementKey,
  objectIdOfKey,
  parseOutcomeObject,
} from '../../../shared/domain/outcome/outcome-object.ts';
import { identityOfUnreadable } from '../../../shared/domain/sms/parking.ts';
import { ROUTING_KEYS } from '../../../shared/domain/topology/topology.ts';
import type { MemoryCounters } from '../../../shared/rehearsal/memory-counters.ts';
import { strayBooksByJournal } from '../recorder-world.ts';
import { type StoredRecord, withoutDuplicates } from '../stored-records.ts';
import { digest } from './digest.ts';
import type { FaultyWorld } from './faulty-world.ts';
import {
  isPoison,
  judgeParkedJournal,
  type ParkedJournalMessage,
  parkedJournalBodiesOf,
  parkedJournalOf,
  runsIn,
  smsIdsIn,
} from './parked-journal.ts';
import type { PlannedJunk } from './scenario.ts';
import { judgeLateness, judgeRecord, judgeRequests } from './sending-laws.ts';

// A minute until a store counts as away, 15 s until claims are taken over, and the time of batches and windows.
const RECORDED_WITHIN_MS = 120_000;

interface TimedRecord extends StoredRecord {
  /** When its object came to lie in S3, milliseconds since the world began. */
  readonly atMs: number;
}

/** What readers of S3 see: one record for each SMS. */
export function recordsOf(faulty: FaultyWorld): OutcomeRecord[] {
  return withoutDuplicates(storedRecordsOf(faulty));
}

/** Every law that is broken, as a sentence. */
export function judgeWorld(faulty: FaultyWorld): string[] {
  const stored = storedRecordsOf(faulty);
  const records = withoutDuplicates(stored);
  const counted = countedRecordsOf(faulty, stored);
  const parked = parkedJournalOf(faulty);
  return [
    ...faulty.problems,
    ...judgeOutcomes(faulty, records, parked),
    ...judgeRequests(faulty.scenario, faulty.requests),
    ...judgeSendCount(faulty, records),
    ...(faulty.isSendingFaultFree ? judgeLateness(faulty.scenario, records) : []),
    ...judgeObjects(faulty, stored, records),
    ...(faulty.scenario.hasEvents ? faulty.subscriber.judge(stored) : []),
    ...judgeAnnouncements(faulty, parked),
    ...judgePromptness(faulty, stored, parked),
    ...judgeCounters(faulty, counted, parked),
    ...(parked.length === 0 ? judgeRepeats(faulty, counted) : []),
    ...judgeParkedJournal(faulty, parked),
    ...judgeWhatIsLeft(faulty, records, parked),
  ];
}

// ---- 1 and 2: one outcome for each SMS, the one that was to be expected

function judgeOutcomes(
  faulty: FaultyWorld,
  records: readonly OutcomeRecord[],
  parked: readonly ParkedJournalMessage[],
): string[] {
  const junk = new Set(faulty.scenario.junk.map(identityOfJunk));
  const waiting = smsIdsIn(parked);
  const expected = new Set([...junk, ...faulty.scenario.sms.map(({ id }) => id)]);
  const parkedBodies = new Set(parkedJournalBodiesOf(faulty).map((body) => digest(body)));
  const problems: string[] = [];
  const found = new Set<string>();
  for (const record of records) {
    const { smsId, status, rawDigest = '' } = record;
    found.add(smsId);
    if (junk.has(smsId)) {
      if (status !== 'parked') problems.push(`${smsId} cannot be read, and ended as ${status}`);
    } else if (expected.has(smsId)) problems.push(...judgeRecord(faulty.scenario, record));
    else if (!parkedBodies.has(rawDigest)) problems.push(`${smsId} is nobody's SMS`);
  }
  for (const smsId of expected)
    if (!found.has(smsId) && !waiting.has(smsId)) problems.push(`${smsId} has no outcome`);
  return problems;
}

function identityOfJunk({ body, messageId }: PlannedJunk): string {
  return identityOfUnreadable({ body: Buffer.from(body), headers: { run: 'demo' }, messageId }, digest);
}

/** Where nothing goes wrong, the carrier gets each attempt once. */
function judgeSendCount(faulty: FaultyWorld, records: readonly OutcomeRecord[]): string[] {
  const { scenario, sends } = faulty;
  const attemptCount = records.reduce((sum, { attempts }) => sum + attempts.length, 0);
  const hasDoubles = new Set(scenario.sms.map(({ id }) => id)).size < scenario.sms.length;
  if (!faulty.isFaultFree || hasDoubles || sends.length === attemptCount) return [];
  return [`${sends.length} sends for ${attemptCount} attempts, and nothing had gone wrong`];
}

// ---- 5: one record for each SMS

function storedRecordsOf({ world: { objects } }: FaultyWorld): TimedRecord[] {
  const stored: TimedRecord[] = [];
  for (const [key, body] of objects.bodies) {
    const objectId = objectIdOfKey(key);
    if (objectId === undefined) continue;
    const atMs = objects.storedAtMs.get(key) ?? 0;
    for (const record of parseOutcomeObject(body).records) stored.push({ objectId, atMs, record });
  }
  return stored.sort((left, right) => (left.objectId < right.objectId ? -1 : 1));
}

/**
 * The records that the counters must equal: those every reader keeps, with one exception. A put that a process left on
 * its way when it died may land when its claim has been taken over already; nobody is left to tell the counters of
 * that object. Where it holds another execution of the same SMS, readers keep that one and the counters the other:
 * the same status, attempts and reasons, but not the same milliseconds.
 */
function countedRecordsOf(faulty: FaultyWorld, stored: readonly TimedRecord[]): OutcomeRecord[] {
  const { posthumousIds } = faulty.world.objects;
  const { sms } = faulty.world.counters.memory;
  const isCounted = ({ objectId, record }: TimedRecord) =>
    !posthumousIds.has(objectId) || sms.get(record.smsId)?.object === objectId;
  return withoutDuplicates(stored.filter(isCounted));
}

function judgeObjects(
  faulty: FaultyWorld,
  stored: readonly TimedRecord[],
  records: readonly OutcomeRecord[],
): string[] {
  const problems = faulty.world.objects.rewrittenKeys.map((key) => `${key} was put again with other bytes`);
  const rawDuplicates = stored.length - records.length;
  const isExcused = faulty.isRecorderHurt || faulty.isRedisLost || faulty.isTakenForDead;
  if (rawDuplicates > 0 && !isExcused) problems.push(`${rawDuplicates} raw duplicates without a crash`);
  return problems;
}

function judgeAnnouncements(
  { world: { announcements, objects } }: FaultyWorld,
  parked: readonly ParkedJournalMessage[],
): string[] {
  const waiting = runsIn(parked);
  return announcements
    .filter(({ run, accepted }) => !objects.bodies.has(announcementKey(run, accepted)) && !waiting.has(run))
    .map(({ run }) => `the announcement of ${run} is not stored`);
}

// ---- 8: no outcome waits for a process that is sick

function judgePromptness(
  faulty: FaultyWorld,
  stored: readonly TimedRecord[],
  parked: readonly ParkedJournalMessage[],
): string[] {
  if (!faulty.isOneSick) return [];
  // What one process may not write goes back to the journal after 20 s, until another process takes it.
  const isPassedRound = faulty.scenario.troubles.some(
    ({ prefix, manner }) => prefix === 'parked/' && manner === 'denied',
  );
  const problems: string[] = [];
  const journal = faulty.world.broker.queue(ROUTING_KEYS.journal);
  for (const [index, { body }] of journal.taken.entries()) {
    const dueMs = (journal.takenAtMs[index] ?? 0) + RECORDED_WITHIN_MS;
    if (dueMs > faulty.world.time.nowMs) continue;
    const inTime = new Set(stored.filter(({ atMs }) => atMs <= dueMs).map(({ record }) => record.smsId));
    for (const smsId of smsIdsIn(parked.filter(({ atMs }) => atMs <= dueMs))) inTime.add(smsId);
    for (const entry of decodeJournal(body).entries) {
      if (entry.kind !== 'outcome' || (isPassedRound && entry.record.status === 'parked')) continue;
      if (!inTime.has(entry.record.smsId))
        problems.push(
          `the outcome of ${entry.record.smsId} was not stored within ${RECORDED_WITHIN_MS / 1_000} s`,
        );
    }
  }
  return problems;
}

// ---- 4: counters equal outcomes

function judgeCounters(
  faulty: FaultyWorld,
  records: readonly OutcomeRecord[],
  parked: readonly ParkedJournalMessage[],
): string[] {
  const { memory } = faulty.world.counters;
  if (!memory.areValid) return ['the counters were lost and nobody rebuilt them'];
  const problems: string[] = [];
  const expected = countersByRecords(faulty, records);
  // A Redis that was emptied has forgotten an announcement that is not in S3.
  const forgotten = faulty.isRedisLost ? runsIn(parked) : new Set<string>();
  for (const run of new Set([...memory.runs.keys(), ...expected.keys()])) {
    const fields = expected.get(run) ?? new Map<string, number>();
    const hash = memory.runs.get(run) ?? new Map<string, number | string>();
    for (const field of new Set([...hash.keys(), ...fields.keys()])) {
      if (NOT_BY_RECORDS.has(field)) continue;
      if (forgotten.has(run) && ANNOUNCED_FIELDS.has(field)) continue;
      const [counted, due] = [Number(hash.get(field) ?? 0), fields.get(field) ?? 0];
      if (counted !== due) problems.push(`run ${run} counts ${field} ${counted}, its records ${due}`);
    }
  }
  return [...problems, ...judgeTotal(memory)];
}

const ANNOUNCED_FIELDS = new Set(['announced', 'acceptedUpTo']);
const NOT_BY_RECORDS = new Set(['input', 'announcedAt', 'maxLatenessMs', 'repeatedSends', 'idConflicts']);
const NO_SUMS = new Set([
  'announced',
  'input',
  'announcedAt',
  'acceptedUpTo',
  'maxLatenessMs',
  'hasInputConflict',
]);

const NO_SUMS_OF_TOTAL = new Set(['maxLatenessMs', 'moves', 'since']);

/** The total holds the runs that are summed, each once; no world lasts so long that one is forgotten. */
function judgeTotal({ runs, summedRuns, total }: MemoryCounters): string[] {
  const due = new Map([['runs', summedRuns.size]]);
  const add = (field: string, by: number) => due.set(field, (due.get(field) ?? 0) + by);
  for (const run of summedRuns.keys())
    for (const [field, value] of runs.get(run) ?? []) {
      if (!NO_SUMS.has(field)) add(field, Number(value));
      // Each accepted SMS of a run that is done has its outcome.
      if (OUTCOME_STATUSES.includes(field as OutcomeStatus)) add('announced', Number(value));
    }
  return [...new Set([...due.keys(), ...total.keys()])]
    .filter((field) => !NO_SUMS_OF_TOTAL.has(field) && !field.startsWith('conflict:'))
    .filter((field) => Number(total.get(field) ?? 0) !== (due.get(field) ?? 0))
    .map((field) => `the total counts ${field} ${total.get(field)}, its runs ${due.get(field)}`);
}

function countersByRecords(
  faulty: FaultyWorld,
  records: readonly OutcomeRecord[],
): Map<string, Map<string, number>> {
  const runs = new Map<string, Map<string, number>>();
  const add = (run: string, field: string, by = 1) => {
    const fields = runs.get(run) ?? new Map<string, number>();
    runs.set(run, fields.set(field, (fields.get(field) ?? 0) + by));
  };
  for (const record of records) {
    const { run, status, attempts } = record;
    const reason = countedReasonOf(record);
    add(run, 'met');
    add(run, status);
    // Less than MAX_NAMED_REASONS in any world.
    if (reason !== undefined) add(run, `reason:${reason}`);
    for (const attempt of attempts) addAttempt((field, by) => add(run, field, by), attempt);
  }
  // In progress: what was counted of them is told by their state. Only what is parked may be left so.
  for (const { phase, run, attempts } of faulty.world.counters.memory.sms.values()) {
    if (phase !== 'p') continue;
    add(run, 'met');
    for (const attempt of attemptsOfTokens(attempts)) addAttempt((field, by) => add(run, field, by), attempt);
  }
  for (const { run, accepted, acceptedUpTo } of faulty.world.announcements) {
    add(run, 'announced', accepted);
    add(run, 'acceptedUpTo', acceptedUpTo);
  }
  return runs;
}

type CountedAttempt = Pick<AttemptRecord, 'attempt' | 'tookMs' | 'lateMs' | 'result'>;

const RESULT_OF_LETTER: Readonly<Record<string, string>> = { f: 'failed', u: 'unknown' };

function attemptsOfTokens(tokens: string): CountedAttempt[] {
  return tokens
    .split(',')
    .filter((token) => token !== '')
    .map((token) => {
      const [attempt, , tookMs, lateMs, result] = token.split(':');
      return {
        attempt: Number(attempt),
        tookMs: Number(tookMs),
        ...(lateMs === '' ? {} : { lateMs: Number(lateMs) }),
        result: RESULT_OF_LETTER[result ?? ''] ?? 'sent',
      };
    });
}

function addAttempt(add: (field: string, by?: number) => void, record: CountedAttempt): void {
  const { attempt, tookMs, lateMs, result } = record;
  add('attempts');
  add(`attempt:${attempt}`);
  add('processingMs', tookMs);
  add(`processing:${bucketOf(tookMs)}`);
  if (result !== 'sent') add('attemptsFailed');
  if (result === 'unknown') add('attemptsUnknown');
  if (lateMs !== undefined) add(`lateness:${bucketOf(lateMs)}`);
}

/** What the journal told beyond the records was counted, each once; a Redis that was emptied has forgotten it. */
function judgeRepeats(faulty: FaultyWorld, records: readonly OutcomeRecord[]): string[] {
  if (faulty.isRedisLost) return [];
  const told = faulty.world.broker.queue(ROUTING_KEYS.journal).taken.filter((message) => !isPoison(message));
  const lines = told.flatMap(({ body }) =>
    body
      .toString()
      .split('\n')
      .filter((line) => line !== ''),
  );
  const { repeatedSends, idConflicts } = strayBooksByJournal(lines, records);
  return [
    ...judgeSum(faulty, 'repeatedSends', repeatedSends),
    ...judgeSum(faulty, 'idConflicts', idConflicts),
  ];
}

function judgeSum(faulty: FaultyWorld, field: string, due: number): string[] {
  const hashes = [...faulty.world.counters.memory.runs.values()];
  const counted = hashes.reduce((sum, hash) => sum + Number(hash.get(field) ?? 0), 0);
  return counted === due ? [] : [`${field} is counted as ${counted}, the journal tells of ${due}`];
}

// ---- Nothing is left behind

function judgeWhatIsLeft(
  faulty: FaultyWorld,
  records: readonly OutcomeRecord[],
  parkedJournal: readonly ParkedJournalMessage[],
): string[] {
  const problems: string[] = [];
  const inProgress = smsIdsIn(parkedJournal);
  for (const { smsId } of records) inProgress.delete(smsId);
  for (const [smsId, { phase, object }] of faulty.world.counters.memory.sms) {
    const isRight = inProgress.has(smsId) ? phase === 'p' : phase === 's';
    if (!isRight) problems.push(`${smsId} is left in phase ${phase} ${object}`);
  }
  for (const smsId of inProgress) {
    if (!faulty.isRedisLost && !faulty.world.counters.memory.sms.has(smsId))
      problems.push(`${smsId} is forgotten`);
  }
  for (const [routingKey, queue] of faulty.world.broker.queues) {
    const count = queue.messageCount;
    if (routingKey !== ROUTING_KEYS.parked && count > 0) problems.push(`${count} are left in ${routingKey}`);
  }
  const parked = faulty.world.broker.queue(ROUTING_KEYS.parked).taken;
  const poisonCount = parked.filter(isPoison).length;
  const parkedCount = parked.length - parkedJournal.length - poisonCount;
  const { junk, poisonAtMs } = faulty.scenario;
  if (poisonCount < poisonAtMs.length)
    problems.push(`${poisonCount} poison messages are parked, there were ${poisonAtMs.length}`);
  const isCountRight = faulty.isFaultFree
    ? parkedCount === junk.length
    : parkedCount >= new Set(junk.map(({ body }) => body)).size;
  if (!isCountRight) problems.push(`${parkedCount} messages are parked, ${junk.length} cannot be read`);
  return problems;
}
