/**
 * The terminal view: an aligned line for each snapshot, a header every 20 lines, problems below when they change.
 * Pure: what was printed before is an argument. A number that outgrows its column widens it for good and brings
 * the header again, so that lines under one header are always aligned.
 */
import { styleText } from 'node:util';
import { printable } from '../shared/domain/printable.ts';
import { percent, perSecond, plain, shortTime } from './figures.ts';
import type { QueueDepths } from './queue-depths.ts';
import type { Snapshot, SnapshotState } from './snapshot.ts';

export interface ConsoleState {
  readonly linesUnderHeader: number;
  readonly widths: readonly number[];
  readonly problems: readonly string[];
}

interface Column {
  readonly title: string;
  readonly minWidth: number;
  readonly text: (snapshot: Snapshot) => string;
}

const LINES_UNDER_A_HEADER = 20;

// Together at most 105 characters for usual numbers, which leaves 15 for the retries in 120.
const COLUMNS: readonly Column[] = [
  { title: 'accepted', minWidth: 8, text: ({ accepted }) => plain(accepted) },
  { title: 'in prog', minWidth: 7, text: ({ inProgress }) => plain(inProgress) },
  { title: 'sent', minWidth: 6, text: ({ sent }) => plain(sent) },
  { title: 'failed', minWidth: 6, text: ({ failed }) => plain(failed) },
  { title: 'parked', minWidth: 6, text: ({ parked }) => plain(parked) },
  { title: 'att/s', minWidth: 5, text: ({ attemptsPerSecond }) => perSecond(attemptsPerSecond) },
  { title: 'sent/s', minWidth: 6, text: ({ sentPerSecond }) => perSecond(sentPerSecond) },
  { title: 'fail%', minWidth: 5, text: ({ lastTenSeconds: now }) => percent(now?.failureRate ?? null) },
  {
    title: 'p50',
    minWidth: 4,
    text: ({ lastTenSeconds: now }) => shortTime(now?.processingSeconds.p50 ?? null),
  },
  {
    title: 'p99',
    minWidth: 4,
    text: ({ lastTenSeconds: now }) => shortTime(now?.processingSeconds.p99 ?? null),
  },
  {
    title: 'late',
    minWidth: 4,
    text: ({ lastTenSeconds: now }) => shortTime(now?.retryLatenessSeconds.p99 ?? null),
  },
  { title: 'work', minWidth: 5, text: ({ queues }) => plain(queues.work) },
  { title: 'due', minWidth: 3, text: ({ queues }) => plain(queues.due) },
  { title: 'jrnl', minWidth: 4, text: ({ queues }) => plain(queues.journal) },
  { title: 'snd', minWidth: 3, text: ({ senders }) => plain(senders) },
];

/** Printed once, above the first header. */
export const LEGEND =
  'att/s to late: what was recorded in the last 10 s. p50, p99: time an attempt took. late: time a retry began\n' +
  'after it was due, p99. work, due, jrnl (journal): messages that wait. snd: senders. r1 40: 40 wait after attempt 1.';

export const NOTHING_PRINTED: ConsoleState = {
  linesUnderHeader: LINES_UNDER_A_HEADER,
  widths: COLUMNS.map(({ minWidth }) => minWidth),
  problems: [],
};

/** The lines to print for a snapshot, and what to hand in with the next one. */
export function renderSnapshot(
  snapshot: Snapshot,
  before: ConsoleState,
  hasColours: boolean,
): { readonly lines: readonly string[]; readonly state: ConsoleState } {
  const cells = COLUMNS.map((column) => column.text(snapshot));
  const widths = before.widths.map((width, index) => Math.max(width, cells[index]?.length ?? 0));
  const hasGrown = widths.some((width, index) => width > (before.widths[index] ?? 0));
  const needsHeader = hasGrown || before.linesUnderHeader >= LINES_UNDER_A_HEADER;
  return {
    lines: [
      ...(needsHeader ? [paint('bold', renderHeader(widths), hasColours)] : []),
      renderLine(snapshot, cells, widths, hasColours),
      ...renderProblems(snapshot.problems, before.problems, hasColours),
    ],
    state: {
      linesUnderHeader: needsHeader ? 1 : before.linesUnderHeader + 1,
      widths,
      problems: snapshot.problems,
    },
  };
}

function renderHeader(widths: readonly number[]): string {
  const titles = COLUMNS.map(({ title }, index) => title.padStart(widths[index] ?? 0));
  return `${'time'.padEnd(8)} ${'state'.padEnd(5)} ${titles.join(' ')} retries`;
}

function renderLine(
  snapshot: Snapshot,
  cells: readonly string[],
  widths: readonly number[],
  hasColours: boolean,
): string {
  const numbers = cells.map((cell, index) => cell.padStart(widths[index] ?? 0)).join(' ');
  const state = paint(COLOUR_OF[snapshot.state], TITLE_OF[snapshot.state].padEnd(5), hasColours);
  return `${timeOfDay(snapshot.at)} ${state} ${numbers} ${describeRetries(snapshot.queues)}`;
}

// "rebuilding" would take five characters from every line for a state that is rare and short.
const TITLE_OF: Readonly<Record<SnapshotState, string>> = { ok: 'ok', rebuilding: 'rebld', stale: 'stale' };
const COLOUR_OF = { ok: 'green', rebuilding: 'yellow', stale: 'red' } as const;

function renderProblems(now: readonly string[], before: readonly string[], hasColours: boolean): string[] {
  if (now.length === before.length && now.every((problem, index) => problem === before[index])) return [];
  if (now.length === 0) return [paint('green', '  no problem any more', hasColours)];
  return now.map((problem) => paint('yellow', `  ${printable(problem)}`, hasColours));
}

/** `r1 40 r2 12`: SMS waiting by the attempt that failed; queues in which nothing waits are left out. */
export function describeRetries({ retry }: QueueDepths): string {
  const byAttempt = new Map<number, number>();
  for (const { attempt, messages } of retry) {
    byAttempt.set(attempt, (byAttempt.get(attempt) ?? 0) + messages);
  }
  const waiting = [...byAttempt].filter(([, messages]) => messages > 0);
  return waiting.length === 0 ? '-' : waiting.map(([attempt, count]) => `r${attempt} ${count}`).join(' ');
}

// The operator's own time, as the log lines in the other terminals have it.
function timeOfDay(at: string): string {
  return new Date(at).toTimeString().slice(0, 8);
}

function paint(colour: 'bold' | 'green' | 'yellow' | 'red', text: string, hasColours: boolean): string {
  // Whether to colour is decided once, by whoever knows the stream; styleText would look at stdout again.
  return hasColours ? styleText(colour, text, { validateStream: false }) : text;
}
