/** What a redrive tells at its end. */
import { formatCount } from '../../../shared/domain/format-count.ts';
import { printable } from '../../../shared/domain/printable.ts';
import type { RedriveEnd } from './redrive-run.ts';
import type { Selection } from './selection.ts';

/** What `--json` prints, in this order. */
export interface RedriveSummary {
  readonly run: string;
  readonly status: Selection['status'];
  /** Outcomes that were read so far and are to be sent again. */
  readonly selected: number;
  /** Those of them that an earlier call of the same redrive has sent. */
  readonly before: number;
  /** SMS sent now. */
  readonly sent: number;
  /** SMS of finished batches that failed or were parked again. */
  readonly failedAgain: number;
  /** Those that cannot be sent again. */
  readonly left: number;
  readonly batches: number;
  readonly seconds: number;
  readonly end: RedriveEnd;
}

/** What `--dry-run --json` prints. */
export interface DryRunSummary {
  readonly status: Selection['status'];
  readonly selected: number;
  /** The most frequent reason first. */
  readonly byReason: Readonly<Record<string, number>>;
  readonly left: number;
}

export function renderRedrive(summary: RedriveSummary): string {
  const { run, selected, before, sent, failedAgain, left, batches, seconds } = summary;
  const lines = [
    `Run       ${run}`,
    `Sent      ${formatCount(sent)} of ${formatCount(selected)} SMS in ${formatCount(batches)} ${batches === 1 ? 'batch' : 'batches'}`,
    `Before    ${formatCount(before)} SMS, sent by an earlier call`,
    `Failed    ${formatCount(failedAgain)} SMS failed again`,
    ...(left === 0 ? [] : [`Left      ${formatCount(left)} that cannot be sent again`]),
    `Took      ${seconds} s`,
  ];
  return `${lines.join('\n')}\n`;
}

/** The same in one line. */
export function describeRedrive({ run, sent, selected, failedAgain }: RedriveSummary): string {
  return `run ${run}: ${formatCount(sent)} of ${formatCount(selected)} SMS were sent again, ${formatCount(failedAgain)} failed again`;
}

/** What an interrupted redrive says. @param acceptedCount SMS of the run that were sent, before and now */
export function describeRest(run: string, acceptedCount: number): string {
  return `${formatCount(acceptedCount)} SMS of run ${run} are sent. The same command with --run ${run} goes on, and sends none of them twice`;
}

export function renderDryRun({ status, selected, byReason, left }: DryRunSummary): string {
  const rows = Object.entries(byReason).map(([reason, count]): [string, string] => [
    formatCount(count),
    printable(reason),
  ]);
  const width = Math.max(0, ...rows.map(([count]) => count.length));
  const lines = [
    `${formatCount(selected)} ${status} SMS would be sent again`,
    ...rows.map(([count, reason]) => `  ${count.padStart(width)}  ${reason}`),
    ...(left === 0
      ? []
      : [`${formatCount(left)} of them cannot be sent again: their records do not hold all of them`]),
  ];
  return `${lines.join('\n')}\n`;
}
