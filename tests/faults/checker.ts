/**
 * Says what became of every SMS of a run, by name, and what should have: each SMS that RabbitMQ confirmed has exactly
 * one outcome, the one that run, seed and settings predict.
 */
import type { AttemptRecord } from '../../shared/domain/attempt.ts';
import type { OutcomeRecord } from '../../shared/domain/outcome.ts';
import type { RetrySchedule } from '../../shared/domain/retry-schedule.ts';
import { type SimulationSettings, simulateAttempt } from '../../shared/domain/simulation.ts';
import type { RunCounters } from '../../shared/ports.ts';

/** Settings under which an attempt may have been made; one, unless they were changed while SMS waited. */
export interface Conditions {
  readonly simulation: SimulationSettings;
  readonly schedule: RetrySchedule;
}

export interface StoredRecord {
  readonly objectId: string;
  readonly record: OutcomeRecord;
}

export interface WaitingQueue {
  readonly name: string;
  /** Undefined where RabbitMQ has not counted yet. */
  readonly messages: number | undefined;
}

/** Journal messages that were given up. */
export interface ParkedJournal {
  /** Those in the parked queue. */
  readonly messageCount: number;
  readonly records: readonly OutcomeRecord[];
  /** Of the run those records are in. */
  readonly counters: RunCounters | undefined;
}

/** What is known of a run when all is quiet. */
export interface Evidence {
  /** Ids that RabbitMQ confirmed to a producer. */
  readonly accepted: ReadonlySet<string>;
  /** Ids that were published but perhaps never confirmed: they may have an outcome. */
  readonly published: ReadonlySet<string>;
  /** Accepted ids that were destroyed together with their queue. */
  readonly destroyed?: ReadonlySet<string>;
  /** Ids that must have been parked. */
  readonly parked?: ReadonlySet<string>;
  /** Records that S3 does not take, as they lie in the parked queue: those SMS stay in progress. */
  readonly withheld?: readonly OutcomeRecord[];
  /** Undefined where no journal message may be parked. */
  readonly parkedJournal?: ParkedJournal;
  /** All raw records in S3 but those of parked journal messages. */
  readonly records: readonly StoredRecord[];
  readonly counters: RunCounters | undefined;
  /** Messages left in the queues. */
  readonly waitingCount: number;
  readonly waitingIn?: readonly WaitingQueue[];
  readonly conditions: readonly Conditions[];
  /** Everything the processes logged. */
  readonly logs: readonly string[];
}

export interface Verdict {
  readonly acceptedCount: number;
  readonly okCount: number;
  /** Accepted, no outcome. */
  readonly lost: readonly string[];
  /** An outcome nobody produced. */
  readonly unexpected: readonly string[];
  /** Never confirmed, yet with an outcome: legal. */
  readonly recoveredCount: number;
  /** More than one raw record: legal only after a crash. */
  readonly duplicated: readonly string[];
  /** An attempt before it was due. */
  readonly early: readonly string[];
  /** An attempt beyond the schedule, after a success, or with a gap before it. */
  readonly extra: readonly string[];
  /** An outcome other than the predicted one. */
  readonly mispredicted: readonly string[];
  readonly repeatedSends: number;
  /** Where counters and outcomes differ, and what still waits: sentences. */
  readonly disagreements: readonly string[];
  /** Phone numbers and texts found in logs. */
  readonly leaks: readonly string[];
}

export function check(evidence: Evidence): Verdict {
  const { accepted, published, records, conditions } = evidence;
  const chosen = chooseRecords(records);
  const destroyed = evidence.destroyed ?? new Set<string>();
  const withheld = withheldOf(evidence, chosen);
  const stored = [...chosen.values()];
  const idsWhere = (isSo: (record: OutcomeRecord) => boolean) =>
    stored.filter(isSo).map(({ smsId }) => smsId);
  return {
    acceptedCount: accepted.size,
    okCount: [...accepted].filter((id) => chosen.has(id)).length,
    lost: [...accepted].filter((id) => !chosen.has(id) && !destroyed.has(id) && !withheld.has(id)),
    unexpected: idsWhere(({ smsId }) => !accepted.has(smsId) && !published.has(smsId)),
    recoveredCount: idsWhere(({ smsId }) => !accepted.has(smsId) && published.has(smsId)).length,
    duplicated: findDuplicates(records),
    early: idsWhere((record) => isEarly(record)),
    extra: idsWhere((record) => isExtra(record, conditions)),
    mispredicted: idsWhere((record) =>
      evidence.parked?.has(record.smsId) ? record.status !== 'parked' : !isPredicted(record, conditions),
    ),
    repeatedSends: evidence.counters?.repeatedSends ?? 0,
    disagreements: findDisagreements(stored, [...withheld.values()], evidence),
    leaks: findLeaks(stored, evidence.logs),
  };
}

/** What must be empty in every run, as sentences. */
export function violationsOf(verdict: Verdict, isCrashFree: boolean): string[] {
  const named = (what: string, ids: readonly string[]) =>
    ids.length === 0 ? [] : [`${what} ${ids.length} (${ids.slice(0, 5).join(', ')})`];
  return [
    ...named('lost', verdict.lost),
    ...named('unexpected', verdict.unexpected),
    ...named('early', verdict.early),
    ...named('extra', verdict.extra),
    ...named('other than predicted', verdict.mispredicted),
    ...named('phone number or text in a log', verdict.leaks),
    ...(isCrashFree ? named('duplicated without a crash', verdict.duplicated) : []),
    ...verdict.disagreements,
  ];
}

/** Of raw duplicates the one in the smallest object, as every reader does. */
function chooseRecords(records: readonly StoredRecord[]): Map<string, OutcomeRecord> {
  const sorted = [...records].sort((left, right) => (left.objectId < right.objectId ? 1 : -1));
  return new Map(sorted.map(({ record }) => [record.smsId, record]));
}

/** Those of them that S3 does not hold, by id. */
function withheldOf(
  { withheld = [] }: Evidence,
  chosen: ReadonlyMap<string, OutcomeRecord>,
): Map<string, OutcomeRecord> {
  const missing = withheld.filter(({ smsId }) => !chosen.has(smsId));
  return new Map(missing.map((record) => [record.smsId, record]));
}

function findDuplicates(records: readonly StoredRecord[]): string[] {
  const seen = new Set<string>();
  const twice = records.filter(({ record: { smsId } }) => seen.size === seen.add(smsId).size);
  return [...new Set(twice.map(({ record }) => record.smsId))];
}

function isEarly({ attempts }: OutcomeRecord): boolean {
  return attempts.some(({ lateMs }) => lateMs !== undefined && lateMs < 0);
}

function isExtra({ attempts }: OutcomeRecord, conditions: readonly Conditions[]): boolean {
  const most = Math.max(...conditions.map(({ schedule }) => schedule.length)) + 1;
  return (
    attempts.length > most ||
    attempts.some(({ attempt }, index) => attempt !== index + 1) ||
    attempts.slice(0, -1).some(({ result }) => result === 'sent')
  );
}

/** Each attempt as one of the conditions says, each wait at least that of a schedule, and the right end. */
function isPredicted(record: OutcomeRecord, conditions: readonly Conditions[]): boolean {
  const { attempts, status, smsId } = record;
  const last = attempts.at(-1);
  if (last === undefined || status === 'parked') return false;
  const isEachMade = attempts.every((made) =>
    conditions.some(({ simulation }) => isSame(made, simulation, smsId)),
  );
  const hasWaited = attempts
    .slice(1)
    .every((made, index) => waitedLongEnough(attempts[index], made, conditions));
  return isEachMade && hasWaited && hasRightEnd(record, last, conditions);
}

function isSame(made: AttemptRecord, simulation: SimulationSettings, smsId: string): boolean {
  const { result } = simulateAttempt(simulation, smsId, made.attempt);
  return result.kind === made.result && (result.kind === 'sent' || result.reason === made.reason);
}

function waitedLongEnough(
  before: AttemptRecord | undefined,
  after: AttemptRecord,
  conditions: readonly Conditions[],
): boolean {
  if (before === undefined) return false;
  const waitedMs = Date.parse(after.startedAt) - Date.parse(before.startedAt) - before.tookMs;
  const waits = conditions
    .map(({ schedule }) => schedule[before.attempt - 1])
    .filter((wait) => wait !== undefined);
  return waits.some((waitMs) => waitedMs >= waitMs);
}

function hasRightEnd(
  { status, smsId }: OutcomeRecord,
  last: AttemptRecord,
  conditions: readonly Conditions[],
): boolean {
  if (last.result === 'sent') return status === 'sent';
  const mayEnd = conditions.some(({ simulation, schedule }) => {
    const { result } = simulateAttempt(simulation, smsId, last.attempt);
    const isPermanent = result.kind === 'failed' && result.isPermanent;
    return isPermanent || schedule[last.attempt - 1] === undefined;
  });
  return status === 'failed' && mayEnd;
}

function findDisagreements(
  stored: readonly OutcomeRecord[],
  withheld: readonly OutcomeRecord[],
  evidence: Evidence,
): string[] {
  const { counters, waitingCount } = evidence;
  // The attempts of an SMS are counted also where its outcome is not.
  const attempts = [...stored, ...withheld].flatMap((record) => record.attempts);
  const countOf = (status: string) => stored.filter((record) => record.status === status).length;
  const pairs: [string, number | undefined, number][] = [
    ['sent', counters?.sent, countOf('sent')],
    ['failed', counters?.failed, countOf('failed')],
    ['parked', counters?.parked, countOf('parked')],
    ['attempts', counters?.attempts, attempts.length],
    [
      'failed attempts',
      counters?.attemptsFailed,
      attempts.filter(({ result }) => result === 'failed').length,
    ],
    ['accepted', Math.max(counters?.met ?? 0, counters?.announced ?? 0), evidence.accepted.size],
    ...[1, 2, 3, 4].map((number): [string, number | undefined, number] => [
      `attempts number ${number}`,
      counters?.attemptsByNumber.get(number) ?? 0,
      attempts.filter(({ attempt }) => attempt === number).length,
    ]),
  ];
  const differences = pairs
    .filter(([, counted, found]) => counted !== found)
    .map(([what, counted, found]) => `${what}: Redis says ${counted}, it should be ${found}`);
  if (evidence.parkedJournal !== undefined) differences.push(...judgeParkedJournal(evidence.parkedJournal));
  return waitingCount === 0
    ? differences
    : [...differences, `${waitingCount} messages still wait: ${JSON.stringify(evidence.waitingIn)}`];
}

/** Each has one record, and is counted once; nothing else is in their run. */
function judgeParkedJournal({ messageCount, records, counters }: ParkedJournal): string[] {
  const ids = new Set(records.map(({ smsId }) => smsId));
  const recordCount = records.filter(({ status }) => status === 'parked').length;
  const { parked = 0, met = 0, attempts = 0 } = counters ?? {};
  const isRight = [recordCount, records.length, ids.size, parked, met].every(
    (count) => count === messageCount,
  );
  if (isRight && attempts === 0) return [];
  return [
    `${messageCount} journal messages are parked: ${records.length} records (${ids.size} ids, ${recordCount} of them parked), ` +
      `Redis says ${parked} parked of ${met} met with ${attempts} attempts`,
  ];
}

function findLeaks(stored: readonly OutcomeRecord[], logs: readonly string[]): string[] {
  const secrets = stored.flatMap(({ to, text }) => [to, text].filter((each) => each !== undefined));
  return logs.flatMap((log) => [
    ...secrets.filter((secret) => log.includes(secret)),
    ...(/\+\d{8,}/.exec(log) ?? []),
  ]);
}
