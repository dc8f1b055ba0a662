/** What must always be true, whatever happened in the world: the laws of the design, each with the number it has there. */
import type { AttemptRecord } from '../../../shared/domain/attempt.ts';
import { bucketOf } from '../../../shared/domain/histogram.ts';
import { decodeJournal } from '../../../shared/domain/journal.ts';
import {
  contentOf,
  OUTCOME_STATUSES,
  type OutcomeRecord,
  type OutcomeStatus,
} from '../../../shared/domain/outcome.ts';
import { announcementKey, objectIdOfKey, parseOutcomeObject } from '../../../shared/domain/outcome-object.ts';
import { identityOfUnreadable } from '../../../shared/domain/parking.ts';
import { decideNextStep } from '../../../shared/domain/retry-schedule.ts';
import { simulateAttempt } from '../../../shared/domain/simulation.ts';
import { ROUTING_KEYS } from '../../../shared/domain/topology.ts';
import type { MemoryCounters } from '../../../shared/testing/memory-counter-store.ts';
import {
  isPoison,
  judgeParkedJournal,
  type ParkedJournalMessage,
  parkedJournalBodiesOf,
  parkedJournalOf,
  runsIn,
  smsIdsIn,
} from './parked-journal.ts';
import type { Scenario } from './scenario.ts';
import { digest } from './simulated-process.ts';
import type { World } from './world.ts';

// A minute until a store counts as away, 15 s until claims are taken over, and the time of batches and windows.
const RECORDED_WITHIN_MS = 120_000;

interface StoredRecord {
  readonly objectId: string;
  /** When its object came to lie in S3, milliseconds since the world began. */
  readonly atMs: number;
  readonly record: OutcomeRecord;
}

/** Every law that is broken, as a sentence. */
export function judgeWorld(world: World): string[] {
  const stored = storedRecordsOf(world);
  const records = withoutDuplicates(stored);
  const counted = countedRecordsOf(world, stored);
  const parked = parkedJournalOf(world);
  return [
    ...world.problems,
    ...judgeOutcomes(world, records, parked),
    ...judgeSends(world, records),
    ...judgeObjects(world, stored, records),
    ...judgeAnnouncements(world, parked),
    ...judgePromptness(world, stored, parked),
    ...judgeCounters(world, counted, parked),
    ...(parked.length === 0 ? judgeRepeats(world, counted) : []),
    ...judgeParkedJournal(world, parked),
    ...judgeWhatIsLeft(world, records, parked),
  ];
}

// ---- 1 and 2: one outcome for each SMS, the one that was to be expected

function judgeOutcomes(
  world: World,
  records: readonly OutcomeRecord[],
  parked: readonly ParkedJournalMessage[],
): string[] {
  const expected = expectedOutcomesOf(world);
  const waiting = smsIdsIn(parked);
  const found = new Map(records.map((record) => [record.smsId, describeOutcome(record)]));
  const problems: string[] = [];
  for (const [smsId, outcome] of expected) {
    if (!found.has(smsId)) {
      if (!waiting.has(smsId)) problems.push(`${smsId} has no outcome`);
    } else if (found.get(smsId) !== outcome) {
      problems.push(`${smsId} ended as ${found.get(smsId)}, not as ${outcome}`);
    }
  }
  const parkedBodies = new Set(parkedJournalBodiesOf(world).map((body) => digest(body)));
  for (const { smsId, rawDigest = '' } of records)
    if (!expected.has(smsId) && !parkedBodies.has(rawDigest)) problems.push(`${smsId} is nobody's SMS`);
  return problems;
}

function expectedOutcomesOf({ scenario }: World): Map<string, string> {
  const expected = new Map(scenario.sms.map(({ id }) => [id, predictOutcome(scenario, id)]));
  for (const { body, messageId } of scenario.junk) {
    const message = { body: Buffer.from(body), headers: { run: 'demo' }, messageId };
    expected.set(identityOfUnreadable(message, digest), 'parked');
  }
  return expected;
}

function predictOutcome({ simulation, schedule }: Scenario, smsId: string): string {
  const results: string[] = [];
  for (let attempt = 1; ; attempt += 1) {
    const { result } = simulateAttempt(simulation, smsId, attempt);
    results.push(result.kind === 'failed' ? `${attempt} ${result.reason}` : `${attempt} sent`);
    const step = decideNextStep(attempt, result, schedule, 0);
    if (step.kind === 'finish') return `${step.status} after ${results.join(', ')}`;
  }
}

function describeOutcome({ status, attempts }: OutcomeRecord): string {
  if (status === 'parked') return 'parked';
  return `${status} after ${attempts.map(({ attempt, reason }) => `${attempt} ${reason ?? 'sent'}`).join(', ')}`;
}

/** What the gateway was asked to do: never more than the schedule allows, nothing after a success, nothing too early. */
function judgeSends(world: World, records: readonly OutcomeRecord[]): string[] {
  const { scenario, sends } = world;
  const problems: string[] = [];
  for (const { smsId, attempt } of sends) {
    for (let earlier = 1; earlier < attempt; earlier += 1) {
      const { result } = simulateAttempt(scenario.simulation, smsId, earlier);
      if (decideNextStep(earlier, result, scenario.schedule, 0).kind === 'finish')
        problems.push(`${smsId} was attempted a ${attempt}. time although attempt ${earlier} ended it`);
    }
  }
  for (const { smsId, attempts } of records) {
    for (const { attempt, lateMs = 0 } of attempts)
      if (lateMs < 0) problems.push(`attempt ${attempt} of ${smsId} began ${-lateMs} ms too early`);
  }
  const attemptCount = records.reduce((sum, { attempts }) => sum + attempts.length, 0);
  const hasDoubles = new Set(scenario.sms.map(({ id }) => id)).size < scenario.sms.length;
  if (world.isFaultFree && !hasDoubles && sends.length !== attemptCount)
    problems.push(`${sends.length} sends for ${attemptCount} attempts, and nothing had gone wrong`);
  return problems;
}

// ---- 5: one record for each SMS

function storedRecordsOf({ objects }: World): StoredRecord[] {
  const stored: StoredRecord[] = [];
  for (const [key, body] of objects.bodies) {
    const objectId = objectIdOfKey(key);
    if (objectId === undefined) continue;
    const atMs = objects.storedAtMs.get(key) ?? 0;
    for (const record of parseOutcomeObject(body).records) stored.push({ objectId, atMs, record });
  }
  return stored.sort((left, right) => (left.objectId < right.objectId ? -1 : 1));
}

function withoutDuplicates(stored: readonly StoredRecord[]): OutcomeRecord[] {
  const first = new Map<string, OutcomeRecord>();
  for (const { record } of stored) if (!first.has(record.smsId)) first.set(record.smsId, record);
  return [...first.values()];
}

/**
 * The records that the counters must equal: those every reader keeps, with one exception. A put that a process left on
 * its way when it died may land when its claim has been taken over already; nobody is left to tell the counters of
 * that object. Where it holds another execution of the same SMS, readers keep that one and the counters the other:
 * the same status, attempts and reasons, but not the same milliseconds.
 */
function countedRecordsOf(world: World, stored: readonly StoredRecord[]): OutcomeRecord[] {
  const { posthumousIds } = world.objects;
  const { sms } = world.counters.memory;
  const isCounted = ({ objectId, record }: StoredRecord) =>
    !posthumousIds.has(objectId) || sms.get(record.smsId)?.object === objectId;
  return withoutDuplicates(stored.filter(isCounted));
}

function judgeObjects(
  world: World,
  stored: readonly StoredRecord[],
  records: readonly OutcomeRecord[],
): string[] {
  const problems = world.objects.rewrittenKeys.map((key) => `${key} was put again with other bytes`);
  const rawDuplicates = stored.length - records.length;
  const isExcused = world.isRecorderHurt || world.isRedisLost || world.isTakenForDead;
  if (rawDuplicates > 0 && !isExcused) problems.push(`${rawDuplicates} raw duplicates without a crash`);
  return problems;
}

function judgeAnnouncements(
  { announcements, objects }: World,
  parked: readonly ParkedJournalMessage[],
): string[] {
  const waiting = runsIn(parked);
  return announcements
    .filter(({ run, accepted }) => !objects.bodies.has(announcementKey(run, accepted)) && !waiting.has(run))
    .map(({ run }) => `the announcement of ${run} is not stored`);
}

// ---- 8: nobody waits for a process that is sick

function judgePromptness(
  world: World,
  stored: readonly StoredRecord[],
  parked: readonly ParkedJournalMessage[],
): string[] {
  if (!world.isOneSick) return [];
  // What one process may not write there goes round until another one takes it, 20 s each time.
  const isPassedRound = world.scenario.troubles.some(
    ({ prefix, manner }) => prefix === 'parked/' && manner === 'denied',
  );
  const problems: string[] = [];
  const journal = world.broker.queue(ROUTING_KEYS.journal);
  for (const [index, { body }] of journal.taken.entries()) {
    const dueMs = (journal.takenAtMs[index] ?? 0) + RECORDED_WITHIN_MS;
    if (dueMs > world.time.nowMs) continue;
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
  world: World,
  records: readonly OutcomeRecord[],
  parked: readonly ParkedJournalMessage[],
): string[] {
  const { memory } = world.counters;
  if (!memory.areValid) return ['the counters were lost and nobody rebuilt them'];
  const problems: string[] = [];
  const expected = countersByRecords(world, records);
  // A Redis that was emptied has forgotten an announcement that is not in S3.
  const forgotten = world.isRedisLost ? runsIn(parked) : new Set<string>();
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

interface CountedAttempt {
  readonly attempt: number;
  readonly tookMs: number;
  readonly lateMs?: number | undefined;
  readonly result: AttemptRecord['result'];
}

function countersByRecords(
  world: World,
  records: readonly OutcomeRecord[],
): Map<string, Map<string, number>> {
  const runs = new Map<string, Map<string, number>>();
  const add = (run: string, field: string, by = 1) => {
    const fields = runs.get(run) ?? new Map<string, number>();
    runs.set(run, fields.set(field, (fields.get(field) ?? 0) + by));
  };
  for (const { run, status, attempts } of records) {
    add(run, 'met');
    add(run, status);
    for (const attempt of attempts) addAttempt((field, by) => add(run, field, by), attempt);
  }
  // In progress: what was counted of them is told by their state. Only what is parked may be left so.
  for (const { phase, run, attempts } of world.counters.memory.sms.values()) {
    if (phase !== 'p') continue;
    add(run, 'met');
    for (const attempt of attemptsOfTokens(attempts)) addAttempt((field, by) => add(run, field, by), attempt);
  }
  for (const { run, accepted, acceptedUpTo } of world.announcements) {
    add(run, 'announced', accepted);
    add(run, 'acceptedUpTo', acceptedUpTo);
  }
  return runs;
}

function attemptsOfTokens(tokens: string): CountedAttempt[] {
  return tokens
    .split(',')
    .filter((token) => token !== '')
    .map((token) => {
      const [attempt, , tookMs, lateMs, result] = token.split(':');
      return {
        attempt: Number(attempt),
        tookMs: Number(tookMs),
        lateMs: lateMs === '' ? undefined : Number(lateMs),
        result: result === 'f' ? 'failed' : 'sent',
      };
    });
}

function addAttempt(add: (field: string, by?: number) => void, record: CountedAttempt): void {
  const { attempt, tookMs, lateMs, result } = record;
  add('attempts');
  add(`attempt:${attempt}`);
  add('processingMs', tookMs);
  add(`processing:${bucketOf(tookMs)}`);
  if (result === 'failed') add('attemptsFailed');
  if (lateMs !== undefined) add(`lateness:${bucketOf(lateMs)}`);
}

/** What the journal told beyond the records was counted, each once; a Redis that was emptied has forgotten it. */
function judgeRepeats(world: World, records: readonly OutcomeRecord[]): string[] {
  if (world.isRedisLost) return [];
  const sends = new Set<string>();
  const contents = new Set<string>();
  for (const message of world.broker.queue(ROUTING_KEYS.journal).taken) {
    if (isPoison(message)) continue;
    for (const entry of decodeJournal(message.body).entries) {
      if (entry.kind === 'attempt') sends.add(sendOf(entry.smsId, entry.attempt));
      if (entry.kind !== 'outcome') continue;
      contents.add(`${entry.record.smsId} ${contentOf(entry.record)}`);
      for (const attempt of entry.record.attempts) sends.add(sendOf(entry.record.smsId, attempt));
    }
  }
  const recorded = new Set(
    records.flatMap(({ smsId, attempts }) => attempts.map((attempt) => sendOf(smsId, attempt))),
  );
  return [
    ...judgeSum(world, 'repeatedSends', sends.size - recorded.size),
    ...judgeSum(world, 'idConflicts', contents.size - records.length),
  ];
}

function judgeSum(world: World, field: string, due: number): string[] {
  const hashes = [...world.counters.memory.runs.values()];
  const counted = hashes.reduce((sum, hash) => sum + Number(hash.get(field) ?? 0), 0);
  return counted === due ? [] : [`${field} is counted as ${counted}, the journal tells of ${due}`];
}

function sendOf(smsId: string, { attempt, startedAt }: AttemptRecord): string {
  return `${smsId} ${attempt} ${startedAt}`;
}

// ---- Nothing is left behind

function judgeWhatIsLeft(
  world: World,
  records: readonly OutcomeRecord[],
  parkedJournal: readonly ParkedJournalMessage[],
): string[] {
  const problems: string[] = [];
  const inProgress = smsIdsIn(parkedJournal);
  for (const { smsId } of records) inProgress.delete(smsId);
  for (const [smsId, { phase, object }] of world.counters.memory.sms) {
    const isRight = inProgress.has(smsId) ? phase === 'p' : phase === 's';
    if (!isRight) problems.push(`${smsId} is left in phase ${phase} ${object}`);
  }
  for (const smsId of inProgress) {
    if (!world.isRedisLost && !world.counters.memory.sms.has(smsId)) problems.push(`${smsId} is forgotten`);
  }
  for (const [routingKey, queue] of world.broker.queues) {
    const count = queue.messageCount;
    if (routingKey !== ROUTING_KEYS.parked && count > 0) problems.push(`${count} are left in ${routingKey}`);
  }
  const parked = world.broker.queue(ROUTING_KEYS.parked).taken;
  const poisonCount = parked.filter(isPoison).length;
  const parkedCount = parked.length - parkedJournal.length - poisonCount;
  const { junk, poisonAtMs } = world.scenario;
  if (poisonCount < poisonAtMs.length)
    problems.push(`${poisonCount} poison messages are parked, there were ${poisonAtMs.length}`);
  const isCountRight = world.isFaultFree
    ? parkedCount === junk.length
    : parkedCount >= new Set(junk.map(({ body }) => body)).size;
  if (!isCountRight) problems.push(`${parkedCount} messages are parked, ${junk.length} cannot be read`);
  return problems;
}
