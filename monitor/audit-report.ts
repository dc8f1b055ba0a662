import { NOTHING_OVERDUE } from '../shared/domain/overdue.ts';
import { smsNumberOf } from '../shared/domain/sms.ts';
import { queueNameOf, ROUTING_KEYS } from '../shared/domain/topology.ts';
import { describeError } from '../shared/errors.ts';
import type { FullCounterReading, QueueReadings, RunCounters } from '../shared/ports.ts';
import type { Answer } from './answer.ts';
import type { Round, Stillness } from './audit.ts';
import { countersOf, outcomesIn, type RunBooks, sumOf } from './books.ts';
import { counted } from './figures.ts';
import { overdueIn, overdueProblems, overdueSince } from './overdue-report.ts';
import { NOTHING_STUCK, type OverdueFindings } from './overdue-sms.ts';
import { measureDepths, waitingIn } from './queue-depths.ts';
import {
  describeIdConflicts,
  describeIncompleteness,
  describeInputConflicts,
  describeSilence,
  NO_SENDER,
} from './snapshot.ts';

/** The result of an audit. Key order is that of the JSON. */
export interface AuditReport {
  readonly accepted: number;
  readonly sent: number;
  readonly failed: number;
  readonly parked: number;
  /** SMS that came again and have their outcome in another run. */
  readonly known: number;
  /** accepted − sent − failed − parked − known, so the missing ones too. */
  readonly inProgress: number;
  /** Accepted SMS that are neither in S3 nor in a queue; null while that cannot be said. */
  readonly missing: number | null;
  readonly duplicateRecords: number;
  readonly countersAgree: boolean;
  readonly balanced: boolean;
  /**
   * SMS in progress that should have come back from a retry queue and have not, of all runs: at least so many.
   * 0 of one run that has nothing in progress. Null where that cannot be said.
   */
  readonly overdue: number | null;
  /** When the first of them was due, at the latest; null where there is none. */
  readonly overdueSince: string | null;
  /** The first 100 of those missing whose ids follow from their run. */
  readonly missingIds: readonly string[];
  /** Keys, the first 1,000. */
  readonly unreadableObjects: readonly string[];
  readonly unreadableCount: number;
  /** Null where there are no valid counters. */
  readonly repeatedSends: number | null;
  readonly idConflicts: number | null;
  readonly conflictingIds: readonly string[];
  /** The run asked for, where neither S3 nor the counters know it. */
  readonly unknownRun?: string;
  readonly runs: readonly AuditedRun[];
  readonly problems: readonly string[];
}

export interface AuditedRun {
  readonly run: string;
  readonly accepted: number;
  readonly sent: number;
  readonly failed: number;
  readonly parked: number;
  readonly known: number;
  readonly inProgress: number;
  readonly missing: number | null;
  readonly attempts: number;
  readonly attemptsFailed: number;
  readonly duplicateRecords: number;
}

export interface AuditFindings {
  readonly round: Round;
  readonly queues: Answer<QueueReadings>;
  readonly stillness: Stillness;
  readonly overdue: OverdueFindings;
  /** QUEUE_NAME. */
  readonly queue: string;
  readonly run: string | undefined;
}

const MAX_NAMED_IDS = 100;
const MAX_TOLD = 5;

/** What is said of overdue SMS where none can be of the run asked for. */
const NONE_OVERDUE: OverdueFindings = {
  kind: 'told',
  ready: NOTHING_OVERDUE,
  stuck: NOTHING_STUCK,
};

export function makeReport(all: AuditFindings): AuditReport {
  const { round, stillness, run } = all;
  const { books, store } = round;
  const findings = isAllOfOthers(all) ? { ...all, overdue: NONE_OVERDUE } : all;
  const isStill = stillness.kind === 'still';
  const open = sumOf(books, (each) => each.open);
  const missing = isStill ? open : null;
  const counters = validCountersOf(round);
  const countersAgree = counters !== undefined && round.disagreements.length === 0;
  const chosen = counters === undefined ? [] : chosenCounters(counters, run);
  const idConflicts = chosen.reduce((sum, each) => sum + each.idConflicts, 0);
  const isUnknown = run !== undefined && !isKnown(run, round);
  return {
    accepted: sumOf(books, ({ accepted }) => accepted),
    sent: sumOf(books, ({ stored }) => stored.sent),
    failed: sumOf(books, ({ stored }) => stored.failed),
    parked: sumOf(books, ({ stored }) => stored.parked),
    known: sumOf(books, ({ stored }) => stored.known),
    inProgress: open,
    missing,
    duplicateRecords: sumOf(books, ({ stored }) => stored.duplicateRecords),
    countersAgree,
    // The sum holds by construction: `accepted` is never less than the outcomes, and the rest is in progress.
    balanced: !isUnknown && isBalanced(findings, missing, countersAgree && idConflicts === 0),
    overdue: overdueIn(findings.overdue),
    overdueSince: overdueSince(findings.overdue),
    missingIds: isStill ? books.flatMap(({ openIds }) => openIds).slice(0, MAX_NAMED_IDS) : [],
    unreadableObjects: store.unreadable.keys,
    unreadableCount: store.unreadable.count,
    repeatedSends: counters === undefined ? null : chosen.reduce((sum, each) => sum + each.repeatedSends, 0),
    idConflicts: counters === undefined ? null : idConflicts,
    conflictingIds: conflictingIdsOf(round, run),
    ...(isUnknown ? { unknownRun: run } : {}),
    runs: books.map((each) => describeRun(each, isStill)),
    problems: problemsOf(findings, missing),
  };
}

function isKnown(run: string, round: Round): boolean {
  const { outcomes, announcements } = round.store;
  const counters = countersOf(run, validCountersOf(round));
  return outcomes.runs.has(run) || announcements.has(run) || counters !== undefined;
}

/** An id conflict is counted in the run in which the SMS was met first, which is where it has its outcome. */
function conflictingIdsOf(round: Round, run: string | undefined): readonly string[] {
  const ids = validCountersOf(round)?.conflictingIds ?? [];
  if (run === undefined) return ids;
  const { outcomes } = round.store;
  return ids.filter((id) => {
    const home = outcomes.runOf(id);
    return home === undefined ? smsNumberOf(run, id) !== undefined : home === run;
  });
}

// Work in progress is allowed, but only where the queues were seen, or nothing is open at all.
function isBalanced(
  { round, queues }: AuditFindings,
  missing: number | null,
  areCountersRight: boolean,
): boolean {
  const isOpen = sumOf(round.books, ({ open }) => open) > 0;
  return (
    areCountersRight &&
    (missing ?? 0) === 0 &&
    round.store.unreadable.count === 0 &&
    (queues.kind === 'answered' || !isOpen)
  );
}

function describeRun({ run, accepted, stored, open }: RunBooks, isStill: boolean): AuditedRun {
  return {
    run,
    accepted,
    sent: stored.sent,
    failed: stored.failed,
    parked: stored.parked,
    known: stored.known,
    inProgress: accepted - outcomesIn(stored),
    missing: isStill ? open : null,
    attempts: stored.attempts,
    attemptsFailed: stored.attemptsFailed,
    duplicateRecords: stored.duplicateRecords,
  };
}

function validCountersOf({ counters }: Round): FullCounterReading | undefined {
  return counters.kind === 'answered' && counters.reading.areValid ? counters.reading : undefined;
}

function chosenCounters(reading: FullCounterReading, run: string | undefined): RunCounters[] {
  if (run === undefined) return [...reading.runs.values(), reading.done.counters];
  return [countersOf(run, reading) ?? []].flat();
}

function problemsOf(findings: AuditFindings, missing: number | null): string[] {
  const { round, run } = findings;
  return [
    ...(run === undefined || isKnown(run, round) ? [] : [describeUnknown(run)]),
    ...(round.store.isBucketMissing
      ? ['the S3 bucket does not exist: no outcome was ever stored there']
      : []),
    ...queueProblems(findings),
    ...overdueProblems(findings.overdue, findings.queue),
    ...parkedProblems(findings),
    ...counterProblems(findings),
    ...unreadableProblems(round),
    ...(missing !== null && missing > 0 ? [describeMissing(round.books, missing)] : []),
  ];
}

/** True where one run is asked for and nothing of it is open: what is in the queues is of others. */
function isAllOfOthers({ round, run }: AuditFindings): boolean {
  return run !== undefined && sumOf(round.books, ({ open }) => open) === 0;
}

function describeUnknown(run: string): string {
  return `neither S3 nor the counters know a run "${run}": is the name right, and did a sender record any of it?`;
}

function queueProblems(findings: AuditFindings): string[] {
  const { queues, stillness, round, queue } = findings;
  const problems: string[] = [];
  if (queues.kind === 'silent') problems.push(`RabbitMQ does not answer: ${describeError(queues.error)}`);
  else if (!queues.reading.isComplete) problems.push(describeIncompleteness(queues.reading));
  if (stillness.kind === 'unknown' && queues.kind === 'answered') problems.push(stillness.reason);
  const isWaiting = queues.kind === 'answered' && waitingIn(measureDepths(queue, queues.reading.queues)) > 0;
  const { counters } = round;
  if (isWaiting && !isAllOfOthers(findings) && counters.kind === 'answered') {
    const { livingSenders, silentSenders } = counters.reading;
    if (livingSenders === 0) problems.push(silentSenders > 0 ? describeSilence(silentSenders) : NO_SENDER);
  }
  return problems;
}

/**
 * Each parked message has a record. Less lies in the queue where people took messages out; more, where somebody else put
 * messages in, or a crash parked one twice.
 */
function parkedProblems({ queues, round, queue, run }: AuditFindings): string[] {
  // Messages without a record are of no run.
  if (queues.kind === 'silent' || run !== undefined) return [];
  const inQueue = measureDepths(queue, queues.reading.queues).parked ?? 0;
  const recorded = [...round.store.outcomes.runs.values()].reduce((sum, { parked }) => sum + parked, 0);
  const more = inQueue - recorded;
  if (more <= 0) return [];
  return [
    `${counted(more, 'message', 'messages')} in ${queueNameOf(queue, ROUTING_KEYS.parked)} beyond the ${recorded} parked ` +
      'records in S3: put there by other software, or parked twice around a crash. Look at them in the management UI',
  ];
}

function counterProblems({ round, run }: AuditFindings): string[] {
  const { counters, disagreements } = round;
  if (counters.kind === 'silent') {
    return [`Redis does not answer, so nothing is compared with it: ${describeError(counters.error)}`];
  }
  if (!counters.reading.areValid) {
    return ['the counters are not valid, so nothing is compared with them: a sender rebuilds them from S3'];
  }
  const chosen = chosenCounters(counters.reading, run);
  const untold = disagreements.length - MAX_TOLD;
  return [
    ...disagreements.slice(0, MAX_TOLD),
    ...(untold > 0 ? [`${counted(untold, 'more difference', 'more differences')} between Redis and S3`] : []),
    ...describeInputConflicts(counters.reading, run),
    ...describeIdConflicts(chosen.reduce((sum, each) => sum + each.idConflicts, 0)),
  ];
}

function unreadableProblems({ store: { unreadable } }: Round): string[] {
  if (unreadable.count === 0) return [];
  const named = unreadable.keys.slice(0, MAX_TOLD).join(', ');
  const more = unreadable.count > MAX_TOLD ? ` and ${unreadable.count - MAX_TOLD} more` : '';
  return [
    `${counted(unreadable.count, 'object', 'objects')} in S3 cannot be read (the first one ` +
      `${unreadable.firstReason}): ${named}${more}`,
  ];
}

function describeMissing(books: readonly RunBooks[], missing: number): string {
  const ids = books.flatMap(({ openIds }) => openIds);
  const named =
    ids.length === 0 ? '' : `: ${ids.slice(0, MAX_TOLD).join(', ')}${missing > MAX_TOLD ? ', …' : ''}`;
  return `${counted(missing, 'SMS is', 'SMS are')} missing${named}`;
}
