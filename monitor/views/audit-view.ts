import { counted } from '../../shared/domain/format-count.ts';
import { printable } from '../../shared/domain/printable.ts';
import type { AuditedRun, AuditReport } from '../audit/audit-report.ts';
import { alignedRows, grouped, sumOf } from './figures.ts';

const MAX_RUNS_SHOWN = 20;
const MAX_IDS_SHOWN = 5;

/** The audit for people: the books, each run where there are several, what is wrong, and one sentence as verdict. */
export function renderAudit(report: AuditReport, queue: string, run: string | undefined): string {
  const scope = run === undefined ? '' : `, run "${run}"`;
  return [
    `Audit of queue "${queue}"${scope}`,
    ...renderBooks(report),
    ...renderRuns(report.runs),
    ...report.problems.map((problem) => `  problem: ${problem}`),
    describeVerdict(report),
  ]
    .map(printable)
    .join('\n');
}

function renderBooks(report: AuditReport): string[] {
  const numbers: readonly (readonly [string, number | null])[] = [
    ['accepted', report.accepted],
    ['sent', report.sent],
    ['failed', report.failed],
    ['parked', report.parked],
    ['known (came again)', report.known],
    ['in progress', report.inProgress],
    ['overdue', report.overdue],
    ['missing', report.missing],
    ['duplicate records', report.duplicateRecords],
    ['repeated sends', report.repeatedSends],
    ['id conflicts', report.idConflicts],
    ['unreadable objects', report.unreadableCount],
  ];
  const texts = numbers.map(
    ([label, value]) => [label, value === null ? 'unknown' : grouped(value)] as const,
  );
  const width = Math.max(...texts.map(([, text]) => text.length));
  return alignedRows([
    ...texts.map(([label, text]) => [label, text.padStart(width)] as const),
    ['counters agree', (report.countersAgree ? 'yes' : 'no').padStart(width)],
  ]);
}

function renderRuns(runs: readonly AuditedRun[]): string[] {
  if (runs.length < 2) return [];
  const shown = runs.slice(0, MAX_RUNS_SHOWN);
  const width = Math.max(...shown.map(({ run }) => run.length));
  const lines = shown.map((each) => `  run ${each.run.padEnd(width)}  ${sumOf(each, true)}`);
  const untold = runs.length - shown.length;
  return untold > 0 ? [...lines, `  and ${counted(untold, 'more run', 'more runs')}`] : lines;
}

/** An SMS was accepted and will not be sent, because another one has its id. */
function describeConflicts({ idConflicts, conflictingIds }: AuditReport): string {
  const ids = conflictingIds.slice(0, MAX_IDS_SHOWN).join(', ');
  const named = ids === '' ? '' : ` (${ids})`;
  return `${counted(idConflicts ?? 0, 'SMS was', 'SMS were')} not sent because another one has the same id${named}`;
}

export function describeVerdict(report: AuditReport): string {
  if (report.unknownRun !== undefined) return `Nothing was audited: no run "${report.unknownRun}" is known.`;
  if (!report.balanced) return `The books do not balance: ${faultsIn(report).join('; ')}.`;
  if (report.accepted === 0) return 'The books balance: nothing has been accepted yet.';
  const accepted = counted(report.accepted, 'accepted SMS', 'accepted SMS');
  if (report.inProgress === 0 && report.missing === 0) {
    return `The books balance: ${accepted}, each with exactly one outcome.`;
  }
  if (report.inProgress === 0) {
    return `The books balance so far: ${accepted}, each with exactly one outcome, but the queues are not empty.`;
  }
  return `The books balance so far: of ${accepted}, ${grouped(report.inProgress)} have no outcome yet.`;
}

function faultsIn(report: AuditReport): string[] {
  const faults: string[] = [];
  if ((report.missing ?? 0) > 0) faults.push(`${counted(report.missing ?? 0, 'SMS is', 'SMS are')} missing`);
  if ((report.idConflicts ?? 0) > 0) faults.push(describeConflicts(report));
  if (!report.countersAgree) faults.push('the counters do not agree with S3');
  if (report.unreadableCount > 0) {
    faults.push(`${counted(report.unreadableCount, 'object', 'objects')} in S3 cannot be read`);
  }
  if (faults.length === 0) faults.push('what is in the queues is not known');
  return faults;
}
