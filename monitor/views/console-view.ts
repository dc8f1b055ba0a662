/**
 * The terminal view: an aligned line for each snapshot, a header every 20 lines, problems below when they change. A
 * number that outgrows its column widens it for good and brings the header again, so that lines under one header are
 * always aligned.
 */
import { styleText } from 'node:util';
import { printable } from '../../shared/domain/printable.ts';
import type { QueueDepths, Snapshot, SnapshotState } from '../../shared/domain/snapshot.ts';
import { percent, perSecond, plain, shortTime } from './figures.ts';

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

/** Stands once, above the first header. */
export const LEGEND =
  'att/s to late: what was recorded in the last 10 s. p50, p99: time an attempt took. late: time a retry began\n' +
  'after it was due, p99. work, due, jrnl (journal): messages that wait. snd: senders. r1 40: 40 wait after attempt 1.';

export class ConsoleView {
  readonly #hasColours: boolean;
  #linesUnderHeader = LINES_UNDER_A_HEADER;
  #widths: readonly number[] = COLUMNS.map(({ minWidth }) => minWidth);
  #problems: readonly string[] = [];

  constructor(hasColours: boolean) {
    this.#hasColours = hasColours;
  }

  /** The lines for the next snapshot. */
  render(snapshot: Snapshot): string[] {
    const cells = COLUMNS.map((column) => column.text(snapshot));
    const widths = this.#widths.map((width, index) => Math.max(width, cells[index]?.length ?? 0));
    const hasGrown = widths.some((width, index) => width > (this.#widths[index] ?? 0));
    this.#widths = widths;
    const lines = [this.#line(snapshot, cells), ...this.#changedProblems(snapshot.problems)];
    this.#linesUnderHeader += 1;
    if (!hasGrown && this.#linesUnderHeader <= LINES_UNDER_A_HEADER) return lines;
    this.#linesUnderHeader = 1;
    return [this.#header(), ...lines];
  }

  #header(): string {
    const titles = this.#aligned(COLUMNS.map(({ title }) => title));
    return this.#paint('bold', `${'time'.padEnd(8)} ${'state'.padEnd(5)} ${titles} retries`);
  }

  #line(snapshot: Snapshot, cells: readonly string[]): string {
    const { at, state, queues } = snapshot;
    const painted = this.#paint(COLOUR_OF[state], TITLE_OF[state].padEnd(5));
    return `${timeOfDay(at)} ${painted} ${this.#aligned(cells)} ${[retriesIn(queues), ...raritiesOf(snapshot)].join(' ')}`;
  }

  #changedProblems(now: readonly string[]): string[] {
    const before = this.#problems;
    this.#problems = now;
    if (now.length === before.length && now.every((problem, index) => problem === before[index])) return [];
    if (now.length === 0) return [this.#paint('green', '  no problem any more')];
    return now.map((problem) => this.#paint('yellow', `  ${printable(problem)}`));
  }

  #aligned(cells: readonly string[]): string {
    return cells.map((cell, index) => cell.padStart(this.#widths[index] ?? 0)).join(' ');
  }

  #paint(colour: 'bold' | 'green' | 'yellow' | 'red', text: string): string {
    // Whoever knows the stream has decided whether to colour; styleText would look at stdout again.
    return this.#hasColours ? styleText(colour, text, { validateStream: false }) : text;
  }
}

// "rebuilding" would take five characters from every line for a state that is rare and short.
const TITLE_OF: Readonly<Record<SnapshotState, string>> = { ok: 'ok', rebuilding: 'rebld', stale: 'stale' };
const COLOUR_OF = { ok: 'green', rebuilding: 'yellow', stale: 'red' } as const;

/** `r1 40 r2 12`: SMS waiting by the attempt that failed; queues in which nothing waits are left out. */
function retriesIn({ retry }: QueueDepths): string {
  const byAttempt = new Map<number, number>();
  for (const { attempt, messages } of retry) {
    byAttempt.set(attempt, (byAttempt.get(attempt) ?? 0) + messages);
  }
  const waiting = [...byAttempt].filter(([, messages]) => messages > 0);
  return waiting.length === 0 ? '-' : waiting.map(([attempt, count]) => `r${attempt} ${count}`).join(' ');
}

/** What is shown only where there is some: most pipelines never have any. */
function raritiesOf({ queues, held, unknown, throttled, expired, cancelled, gateway }: Snapshot): string[] {
  const counts: [string, number | null][] = [
    ['high', queues.high],
    ['low', queues.low],
    ['held', held],
    ['unknown', unknown],
    ['expired', expired],
    ['cancelled', cancelled],
    ['throttled', throttled],
  ];
  const told = counts.filter(([, count]) => (count ?? 0) > 0).map(([name, count]) => `${name} ${count}`);
  if (gateway?.state !== 'paused') return told;
  return [...told, gateway.until === null ? 'paused' : `paused until ${timeOfDay(gateway.until)}`];
}

// The operator's own time, as the log lines in the other terminals have it.
function timeOfDay(at: string): string {
  return new Date(at).toTimeString().slice(0, 8);
}
