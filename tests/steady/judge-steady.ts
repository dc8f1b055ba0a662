/** What must hold while a load goes on and nothing dies. Pure: each function returns what is wrong, a sentence each. */
import type { Snapshot } from '../kit/process/pipeline-under-test.ts';

/** Redis, the books and the senders at one moment. */
export interface Look {
  /** Since the load began. */
  readonly second: number;
  readonly snapshot: Snapshot;
  /** The SMS of those runs that the monitor had counted in full before. */
  readonly leastAccepted: number;
  /** The SMS of all runs that had begun. */
  readonly mostAccepted: number;
  readonly redisBytes: number;
  readonly keyCount: number;
  /** Of the largest sender. */
  readonly senderBytes: number;
}

export interface AuditSeen {
  /** When it began, since the load began. */
  readonly second: number;
  readonly tookSeconds: number;
  /** The most that it had resident. */
  readonly peakBytes: number;
  readonly exitCode: number | null;
  readonly report: AuditTold;
}

/** The part of the audit's JSON that is judged. */
export interface AuditTold {
  readonly accepted: number;
  readonly sent: number;
  readonly failed: number;
  readonly inProgress: number;
  readonly missing: number | null;
  readonly duplicateRecords: number;
  readonly balanced: boolean;
  readonly problems: readonly string[];
}

export interface Outcomes {
  readonly sent: number;
  readonly failed: number;
}

export interface MemoryVerdict {
  readonly usualBytes: number;
  readonly largestBytes: number;
  readonly isFlat: boolean;
}

/** Redis deletes what is over a little later, so that its memory settles after KEEP_TIME. */
export const SETTLED_AFTER = 1.2;
export const USUAL_UNTIL = 2;
export const MOST_ABOVE_USUAL = 0.1;
const NEVER_FALL = ['accepted', 'sent', 'failed', 'attempts'] as const;
const STAY_ZERO = ['parked', 'known', 'repeatedSends', 'idConflicts'] as const;

/** @param before the look before */
export function judgeLook({ snapshot, leastAccepted, mostAccepted }: Look, before?: Look): string[] {
  const { state, problems, accepted, sent, failed, parked, known, inProgress } = snapshot;
  const sum = sent + failed + parked + known + inProgress;
  return [
    ...(state === 'ok' ? [] : [`the state is ${state}`]),
    ...problems,
    ...(accepted === sum ? [] : [`accepted are ${accepted}, and the other terms of the books make ${sum}`]),
    ...(inProgress >= 0 ? [] : [`in progress are ${inProgress}`]),
    ...(accepted >= leastAccepted
      ? []
      : [`accepted are ${accepted}, and had been ${leastAccepted} in the runs that are over`]),
    ...(accepted <= mostAccepted ? [] : [`accepted are ${accepted} of ${mostAccepted} SMS`]),
    ...STAY_ZERO.filter((term) => snapshot[term] !== 0).map((term) => `${term} is ${snapshot[term]}`),
    ...(before === undefined ? [] : fallsSince(before.snapshot, snapshot)),
  ];
}

function fallsSince(before: Snapshot, now: Snapshot): string[] {
  return NEVER_FALL.filter((term) => now[term] < before[term]).map(
    (term) => `${term} fell from ${before[term]} to ${now[term]}`,
  );
}

/** An audit while SMS are in progress. */
export function judgeAudit({ exitCode, report }: AuditSeen): string[] {
  return [
    ...(exitCode === 0 && report.balanced
      ? []
      : [`exit code ${exitCode}, balanced ${report.balanced}: ${report.problems.join('; ')}`]),
    ...(report.duplicateRecords === 0 ? [] : [`${report.duplicateRecords} duplicate records`]),
  ];
}

/** The audit of what has come to its end. @param expected what seed and ids of the SMS predict */
export function judgeLastAudit(audit: AuditSeen, acceptedCount: number, expected: Outcomes): string[] {
  const { accepted, sent, failed, inProgress, missing, problems } = audit.report;
  return [
    ...judgeAudit(audit),
    ...(audit.report.balanced ? problems : []),
    ...(accepted === acceptedCount ? [] : [`accepted are ${accepted}, producers said ${acceptedCount}`]),
    ...(inProgress === 0 && missing === 0 ? [] : [`${inProgress} in progress, ${missing} missing`]),
    ...(sent === expected.sent && failed === expected.failed
      ? []
      : [`${sent} sent and ${failed} failed, ${expected.sent} and ${expected.failed} were predicted`]),
  ];
}

/**
 * Memory is flat where it never exceeds by more than a tenth what is usual: the median of the looks between 1.2 and
 * 2 times KEEP_TIME. Undefined where there was no look then, or none later.
 */
export function judgeMemory(
  looks: readonly Pick<Look, 'second' | 'redisBytes'>[],
  keepSeconds: number,
): MemoryVerdict | undefined {
  const settled = looks.filter(({ second }) => second >= SETTLED_AFTER * keepSeconds);
  const usual = settled.filter(({ second }) => second <= USUAL_UNTIL * keepSeconds);
  if (usual.length === 0 || usual.length === settled.length) return undefined;
  const usualBytes = medianOf(usual.map(({ redisBytes }) => redisBytes));
  const largestBytes = Math.max(...settled.map(({ redisBytes }) => redisBytes));
  return { usualBytes, largestBytes, isFlat: largestBytes <= (1 + MOST_ABOVE_USUAL) * usualBytes };
}

function medianOf(values: readonly number[]): number {
  const sorted = values.toSorted((left, right) => left - right);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}
