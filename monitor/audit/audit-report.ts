/**
 * The report of an audit: each number from its owner (S3's in stored-outcomes.ts; `accepted` and what is open in books.ts;
 * `countersAgree` in disagreements.ts; what is overdue in overdue-report.ts), and a sentence for each problem.
 */

import { counted } from '../../shared/domain/format-count.ts';
import type { OutcomeStatus } from '../../shared/domain/outcome/outcome.ts';
import { NOTHING_OVERDUE } from '../../shared/domain/schedule/overdue.ts';
import { smsNumberOf } from '../../shared/domain/sms/sms.ts';
import { queueNameOf, ROUTING_KEYS } from '../../shared/domain/topology/topology.ts';
import { describeError } from '../../shared/errors.ts';
import type { Answer } from '../../shared/pipeline/readings/answer.ts';
import { NOTHING_STUCK, type OverdueFindings } from '../../shared/pipeline/readings/overdue-sms.ts';
import {
  describeReadyOnly,
  describeSilence,
  idConflictProblems,
  inputConflictProblems,
  NO_SENDER,
} from '../../shared/pipeline/readings/problems.ts';
import { measureDepths, waitingIn } from '../../shared/pipeline/readings/queue-depths.ts';
import type { QueueReadings } from '../../shared/ports/queue-reader.ts';
import type { Round, Stillness } from './audit.ts';
import { chosenCounters, countersOf, MAX_NAMED_IDS, type RunBooks, sumOf } from './books.ts';
import { overdueIn, overdueProblems, overdueSince } from './overdue-report.ts';
import { unreadableProblems } from './unreadable-problems.ts';

/** The result of an audit. `known` SMS came again and have their outcome in another run. */
export interface AuditReport extends Readonly<Record<OutcomeStatus, number>> {
  readonly accepted: number;
  /** accepted − sent − failed − parked − known, so the missing ones too. */
  readonly inProgress: number;
  /** Accepted SMS that are neither in S3 nor in a queue; null while that cannot be said. */
  readonly missing: number | null;
  readonly duplicateRecords: number;
  readonly countersAgree: boolean;
  readonly balanced: boolean;
  /**
   * SMS in progress that should have come back from a retry or hold queue and have not, of all runs: at least so many.
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

export interface AuditedRun extends Omit<RunBooks, 'open' | 'openIds'> {
  readonly inProgress: number;
  readonly missing: number | null;
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

const MAX_TOLD = 5;

/** What is said of overdue SMS where none can be of the run asked for. */
const NONE_OVERDUE: OverdueFindings = { kind: 'told', ready: NOTHING_OVERDUE, stuck: NOTHING_STUCK };

export function makeReport(all: AuditFindings): AuditReport {
  const { round, run } = all;
  const { books, store, validCounters } = round;
  const findings = isAllOfOthers(all) ? { ...all, overdue: NONE_OVERDUE } : all;
  const isStill = all.stillness.kind === 'still';
  const open = sumOf(books, 'open');
  const missing = isStill ? open : null;
  const countersAgree = validCounters !== undefined && round.disagreements.length === 0;
  const counters = validCounters === undefined ? undefined : chosenCounters(validCounters, run);
  const conflictCount = counters === undefined ? null : sumOf(counters, 'idConflicts');
  const isUnknown = run !== undefined && !isKnown(run, round);
  return {
    accepted: sumOf(books, 'accepted'),
    sent: sumOf(books, 'sent'),
    failed: sumOf(books, 'failed'),
    parked: sumOf(books, 'parked'),
    known: sumOf(books, 'known'),
    inProgress: open,
    missing,
    duplicateRecords: sumOf(books, 'duplicateRecords'),
    countersAgree,
    // The sum holds by construction: `accepted` is never less than the outcomes, and the rest is in progress.
    balanced: !isUnknown && countersAgree && conflictCount === 0 && isBalanced(all, missing, open),
    overdue: overdueIn(findings.overdue),
    overdueSince: overdueSince(findings.overdue),
    missingIds: isStill ? books.flatMap(({ openIds }) => openIds).slice(0, MAX_NAMED_IDS) : [],
    unreadableObjects: store.unreadable.keys,
    unreadableCount: store.unreadable.count,
    repeatedSends: counters === undefined ? null : sumOf(counters, 'repeatedSends'),
    idConflicts: conflictCount,
    conflictingIds: conflictingIdsOf(round, run),
    ...(isUnknown ? { unknownRun: run } : {}),
    runs: books.map((each) => auditedRunOf(each, isStill)),
    problems: problemsOf(findings, missing),
  };
}

function isKnown(run: string, { store, validCounters }: Round): boolean {
  const isStored = store.outcomes.runs.has(run) || store.announcements.has(run);
  return isStored || countersOf(run, validCounters) !== undefined;
}

/** An id conflict is counted in the run in which the SMS was met first, which is where it has its outcome. */
function conflictingIdsOf({ store, validCounters }: Round, run: string | undefined): readonly string[] {
  const ids = validCounters?.conflictingIds ?? [];
  if (run === undefined) return ids;
  return ids.filter((id) => {
    const home = store.outcomes.runOf(id);
    return home === undefined ? smsNumberOf(run, id) !== undefined : home === run;
  });
}

// Work in progress is allowed, but only where the queues were seen, or nothing is open at all.
function isBalanced({ round, queues }: AuditFindings, missing: number | null, open: number): boolean {
  const isOpenSeen = queues.kind === 'answered' || open === 0;
  return (missing ?? 0) === 0 && round.store.unreadable.count === 0 && isOpenSeen;
}

function auditedRunOf({ open, openIds, ...books }: RunBooks, isStill: boolean): AuditedRun {
  const { run, accepted, sent, failed, parked, known, ...others } = books;
  return {
    run,
    accepted,
    sent,
    failed,
    parked,
    known,
    inProgress: open,
    missing: isStill ? open : null,
    ...others,
  };
}

function problemsOf(findings: AuditFindings, missing: number | null): string[] {
  const { round, run } = findings;
  return [
    ...(run === undefined || isKnown(run, round)
      ? []
      : [
          `neither S3 nor the counters know a run "${run}": is the name right, and did a sender record any of it?`,
        ]),
    ...(round.store.isBucketMissing
      ? ['the S3 bucket does not exist: no outcome was ever stored there']
      : []),
    ...queueProblems(findings),
    ...overdueProblems(findings.overdue, findings.queue),
    ...parkedProblems(findings),
    ...counterProblems(findings),
    ...unreadableProblems(round.store.unreadable),
    ...(missing !== null && missing > 0 ? [describeMissing(round.books, missing)] : []),
  ];
}

/** True where one run is asked for and nothing of it is open: what is in the queues is of others. */
function isAllOfOthers({ round, run }: AuditFindings): boolean {
  return run !== undefined && sumOf(round.books, 'open') === 0;
}

function queueProblems(findings: AuditFindings): string[] {
  const { queues, stillness, round, queue } = findings;
  const problems: string[] = [];
  if (queues.kind === 'silent') problems.push(`RabbitMQ does not answer: ${describeError(queues.error)}`);
  else if (!queues.reading.isComplete) problems.push(describeReadyOnly(queues.reading));
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
 * Each parked message has a record. The queue holds fewer messages where people took some out. It holds more where other
 * software put some in, or where a message was parked twice around a crash.
 */
function parkedProblems({ queues, round, queue, run }: AuditFindings): string[] {
  // Messages without a record are of no run.
  if (queues.kind === 'silent' || run !== undefined) return [];
  const inQueue = measureDepths(queue, queues.reading.queues).parked ?? 0;
  const recorded = sumOf([...round.store.outcomes.runs.values()], 'parked');
  const more = inQueue - recorded;
  if (more <= 0) return [];
  return [
    `${counted(more, 'message', 'messages')} in ${queueNameOf(queue, ROUTING_KEYS.parked)} beyond the ${recorded} parked ` +
      'records in S3: put there by other software, or parked twice around a crash. Look at them in the management UI',
  ];
}

function counterProblems({ round, run }: AuditFindings): string[] {
  const { counters, validCounters, disagreements } = round;
  if (counters.kind === 'silent')
    return [`Redis does not answer, so nothing is compared with it: ${describeError(counters.error)}`];
  if (validCounters === undefined)
    return ['the counters are not valid, so nothing is compared with them: a sender rebuilds them from S3'];
  const untold = disagreements.length - MAX_TOLD;
  return [
    ...disagreements.slice(0, MAX_TOLD),
    ...(untold > 0 ? [`${counted(untold, 'more difference', 'more differences')} between Redis and S3`] : []),
    ...inputConflictProblems(validCounters, run),
    ...idConflictProblems(sumOf(chosenCounters(validCounters, run), 'idConflicts')),
  ];
}

function describeMissing(books: readonly RunBooks[], missing: number): string {
  const ids = books.flatMap(({ openIds }) => openIds);
  const named =
    ids.length === 0 ? '' : `: ${ids.slice(0, MAX_TOLD).join(', ')}${missing > MAX_TOLD ? ', …' : ''}`;
  return `${counted(missing, 'SMS is', 'SMS are')} missing${named}`;
}
