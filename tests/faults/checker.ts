/**
 * Says what became of every SMS of a run, by name, and what should have: each SMS that RabbitMQ confirmed has exactly
 * one outcome, the one that run, seed and settings predict.
 */
import { type AttemptRecord, hasFailed, isUnclear } from '../../shared/domain/outcome/attempt.ts';
import { countedReasonOf } from '../../shared/domain/outcome/failure-reason.ts';
import type { OutcomeRecord } from '../../shared/domain/outcome/outcome.ts';
import { REASONS } from '../../shared/domain/schedule/retry-schedule.ts';
import { type FateSettings, fateOfAttempt, type PossibleAttempt } from '../../shared/pipeline/fate.ts';
import type { RunCounters } from '../../shared/ports/counter-reader.ts';
import { earliestStartOf, isRightlyExpired } from '../kit/record-laws.ts';
import { type StoredRecord, withoutDuplicates } from '../kit/stored-records.ts';

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
  /** All raw records in S3 but those of parked journal messages, in the order of object ids. */
  readonly records: readonly StoredRecord[];
  readonly counters: RunCounters | undefined;
  /** Messages left in the queues. */
  readonly waitingCount: number;
  readonly waitingIn?: readonly WaitingQueue[];
  /** Settings under which an attempt may have been made; one, unless they were changed while SMS waited. */
  readonly conditions: readonly FateSettings[];
  readonly areClocksStepped?: boolean;
  /** Ids that a command was asked to cancel: they may end so. */
  readonly mayBeCancelled?: ReadonlySet<string>;
  /** When a command said of an id that its SMS is cancelled, milliseconds since the epoch. */
  readonly cancelledAtMs?: ReadonlyMap<string, number>;
  /** Ids of which an attempt may not have waited for its time. */
  readonly mayBeSentNow?: ReadonlySet<string>;
  /** Everything the processes logged. */
  readonly logs: readonly string[];
}

export interface Verdict {
  readonly acceptedCount: number;
  /** Accepted, no outcome. */
  readonly lost: readonly string[];
  /** Outcomes of SMS that no producer published. */
  readonly unexpected: readonly string[];
  /** More than one raw record: legal only after a crash. */
  readonly duplicated: readonly string[];
  /** An attempt before it was due. */
  readonly early: readonly string[];
  /** An attempt after the SMS had expired. */
  readonly tooLate: readonly string[];
  /** An attempt after a command had said that the SMS is cancelled. */
  readonly afterCancel: readonly string[];
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
  const chosen = new Map(withoutDuplicates(records).map((record) => [record.smsId, record]));
  const destroyed = evidence.destroyed ?? new Set<string>();
  const withheld = withheldOf(evidence, chosen);
  const stored = [...chosen.values()];
  const idsWhere = (isSo: (record: OutcomeRecord) => boolean) =>
    stored.filter(isSo).map(({ smsId }) => smsId);
  return {
    acceptedCount: accepted.size,
    lost: [...accepted].filter((id) => !chosen.has(id) && !destroyed.has(id) && !withheld.has(id)),
    unexpected: idsWhere(({ smsId }) => !accepted.has(smsId) && !published.has(smsId)),
    duplicated: findDuplicates(records),
    early: idsWhere((record) => isEarly(record)),
    tooLate: idsWhere((record) => isTooLate(record)),
    afterCancel: findAfterCancel(records, evidence),
    extra: idsWhere((record) => isExtra(record, conditions)),
    mispredicted: idsWhere((record) =>
      evidence.parked?.has(record.smsId) ? record.status !== 'parked' : !isPredicted(record, evidence),
    ),
    repeatedSends: evidence.counters?.repeatedSends ?? 0,
    disagreements: findDisagreements(stored, [...withheld.values()], evidence),
    leaks: findLeaks(stored, evidence.logs),
  };
}

/** A sentence that counts the SMS and names the first; none where there are none. */
export function named(what: string, ids: readonly string[]): string[] {
  return ids.length === 0 ? [] : [`${what} ${ids.length} (${ids.slice(0, 5).join(', ')})`];
}

/** What must be empty in every run, as sentences. */
export function violationsOf(verdict: Verdict, isCrashFree: boolean): string[] {
  return [
    ...named('lost', verdict.lost),
    ...named('unexpected', verdict.unexpected),
    ...named('early', verdict.early),
    ...named('attempted after they expired', verdict.tooLate),
    ...named('attempted after they were cancelled', verdict.afterCancel),
    ...named('extra', verdict.extra),
    ...named('other than predicted', verdict.mispredicted),
    ...named('phone number or text in a log', verdict.leaks),
    ...(isCrashFree ? named('duplicated without a crash', verdict.duplicated) : []),
    ...verdict.disagreements,
  ];
}

/** The withheld records that S3 does not hold, by id. */
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

function isEarly({ attempts, notBefore }: OutcomeRecord): boolean {
  const [first] = attempts;
  const isBeforeWish =
    first !== undefined && notBefore !== undefined && Date.parse(first.startedAt) < Date.parse(notBefore);
  return isBeforeWish || attempts.some(({ lateMs }) => lateMs !== undefined && lateMs < 0);
}

function isTooLate({ attempts, expiresAt }: OutcomeRecord): boolean {
  const expiresAtMs = Date.parse(expiresAt ?? '');
  return attempts.some(({ startedAt }) => Date.parse(startedAt) > expiresAtMs);
}

/** Of all records, also those that were stored twice. */
function findAfterCancel(records: readonly StoredRecord[], { cancelledAtMs }: Evidence): string[] {
  const ids = records.flatMap(({ record: { smsId, attempts } }) => {
    const atMs = cancelledAtMs?.get(smsId) ?? Infinity;
    return attempts.some(({ startedAt }) => Date.parse(startedAt) > atMs) ? smsId : [];
  });
  return [...new Set(ids)];
}

function isExtra({ attempts }: OutcomeRecord, conditions: readonly FateSettings[]): boolean {
  const most = Math.max(...conditions.map(({ schedule }) => schedule.length)) + 1;
  return (
    attempts.length > most ||
    attempts.some(({ attempt }, index) => attempt !== index + 1) ||
    attempts.slice(0, -1).some(({ result }) => result === 'sent')
  );
}

/** Each attempt as one of the conditions says, each wait at least that of a schedule, and the right end. */
function isPredicted(record: OutcomeRecord, evidence: Evidence): boolean {
  const { conditions, areClocksStepped = false, mayBeCancelled, mayBeSentNow } = evidence;
  const { attempts, status, smsId } = record;
  const last = attempts.at(-1);
  const isEachMade = attempts.every((made) =>
    conditions.some((each) => isSame(made, fateOfAttempt(each, smsId, made.attempt))),
  );
  const hasWaited = attempts.every(({ startedAt }, index) =>
    conditions.some((each) => Date.parse(startedAt) >= earliestStartOf(record, index, each)),
  );
  const isCancelled = record.reason === REASONS.cancelled && mayBeCancelled?.has(smsId) === true;
  const mayHaveSkippedWait = areClocksStepped || mayBeSentNow?.has(smsId) === true;
  const hasRightEnd = conditions.some((each) => {
    if (isCancelled) return status === 'failed';
    if (isRightlyExpired(record, each)) return true;
    if (last === undefined) return false;
    const { next } = fateOfAttempt(each, smsId, last.attempt);
    return next.kind === 'finish' && next.status === status;
  });
  return isEachMade && (hasWaited || mayHaveSkippedWait) && hasRightEnd;
}

function isSame(made: AttemptRecord, { result }: PossibleAttempt): boolean {
  return result.kind === made.result && (result.kind === 'sent' || result.reason === made.reason);
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
    ['failed attempts', counters?.attemptsFailed, attempts.filter(hasFailed).length],
    ['attempts without a clear answer', counters?.attemptsUnknown, attempts.filter(isUnclear).length],
    ...compareReasons(stored, counters),
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

/** By reason: how many failed for it in Redis, and by the records. */
function compareReasons(
  stored: readonly OutcomeRecord[],
  counters: RunCounters | undefined,
): [string, number, number][] {
  const reasons = stored.flatMap((record) => countedReasonOf(record) ?? []);
  return [...new Set([...reasons, ...(counters?.failedByReason.keys() ?? [])])].map((reason) => [
    `failed for "${reason}"`,
    counters?.failedByReason.get(reason) ?? 0,
    reasons.filter((each) => each === reason).length,
  ]);
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
