/**
 * The live screen as lines: a pure function of what is known and of the size of the terminal. On top the sentence, the
 * progress and the books; below them two panes side by side (three on a wide screen, one below the other on a narrow
 * one); at the bottom the problems. What does not fit is cut from the end of a pane, and a line says how much it was.
 */
import { printable } from '../../../shared/domain/printable.ts';
import type { Snapshot } from '../../../shared/domain/snapshot.ts';
import { sumOf } from '../figures.ts';
import type { Paint, Style } from '../paint.ts';
import { barOf } from '../picture/bars.ts';
import { type Sentence, sentenceOf } from '../picture/sentence.ts';
import { attemptsPane, ladderPane, ratesPane, reasonsPane, sendersPane, timesPane } from './panes.ts';
import type { Sample } from './samples.ts';
import { cutTo, firstOf, leftIn, paddedTo, rightIn, wrapTo } from './text.ts';

export interface Seen {
  /** QUEUE_NAME. */
  readonly queue: string;
  /** Undefined until the servers have been asked. */
  readonly snapshot: Snapshot | undefined;
  /** The latest snapshot that was not stale. */
  readonly lastFresh: Snapshot | undefined;
  readonly samples: readonly Sample[];
  /** Hours, minutes and seconds of the operator. */
  readonly time: string;
}

export interface Size {
  readonly columns: number;
  readonly rows: number;
}

type Block = readonly string[];

const TWO_PANES_FROM = 70;
const THREE_PANES_FROM = 130;
const GAP = 2;
const STYLE_OF: Readonly<Record<Sentence['tone'], Style>> = {
  well: 'green',
  done: 'green',
  idle: 'cyan',
  slow: 'yellow',
  trouble: 'red',
  unknown: 'yellow',
};

/** @returns at most as many lines as there are rows, none wider than the columns */
export function layOut(seen: Seen, size: Size, paint: Paint): string[] {
  const { snapshot } = seen;
  const header = headerOf(seen, size.columns, paint);
  if (snapshot === undefined)
    return [header, cutTo(size.columns, 'Asking Redis and RabbitMQ …')].slice(0, size.rows);
  const top = [header, ...topOf(seen, snapshot, size, paint)];
  const problems = problemsOf(snapshot, size, paint);
  const paneRows = size.rows - top.length - problems.length;
  const panes = panesOf(snapshot, seen.samples, { columns: size.columns, rows: paneRows }, paint);
  const shown = snapshot.state === 'stale' ? panes.map((line) => paint('dim', line)) : panes;
  return [...top, ...shown, ...problems].slice(0, Math.max(0, size.rows));
}

function headerOf({ queue, snapshot, time }: Seen, columns: number, paint: Paint): string {
  const run = snapshot?.run === undefined ? '' : `  run ${printable(snapshot.run)}`;
  const right = `${snapshot === undefined ? '' : `${snapshot.state}  `}${time}  q quits`;
  const left = leftIn(Math.max(0, columns - right.length - 1), `Redial  ${printable(queue)}${run}`);
  return paint('bold', cutTo(columns, `${left} ${right}`));
}

function topOf(seen: Seen, snapshot: Snapshot, { columns, rows }: Size, paint: Paint): string[] {
  const { tone, text } = sentenceOf(snapshot, seen.lastFresh);
  const books = `${sumOf(snapshot, (snapshot.known ?? 0) > 0)}`;
  return [
    ...wrapTo(columns, printable(text)).map((line) => paint(STYLE_OF[tone], line)),
    ...progressOf(snapshot, columns, paint),
    ...wrapTo(columns, books, '  '),
    ...(rows >= 20 ? [''] : []),
  ];
}

/** Which share of the accepted SMS has its outcome. */
function progressOf({ accepted, inProgress }: Snapshot, columns: number, paint: Paint): string[] {
  if (accepted === null || inProgress === null || accepted === 0) return [];
  const share = Math.max(0, Math.min(1, (accepted - inProgress) / accepted));
  // Not 100 % before the last one.
  const percent = `${inProgress > 0 ? Math.min(99, Math.floor(share * 100)) : 100} %`;
  const width = columns - 6;
  if (width < 1) return [];
  const done = barOf(share, width);
  const rest = '░'.repeat(Math.max(0, width - done.length));
  return [paint('green', done) + paint('dim', rest) + rightIn(6, percent)];
}

function problemsOf({ problems }: Snapshot, { columns, rows }: Size, paint: Paint): string[] {
  const most = Math.max(2, Math.floor(rows / 4));
  const lines = problems.flatMap((problem) => wrapTo(columns, `! ${printable(problem)}`, '  '));
  return firstOf(most, lines, columns).map((line) => paint('yellow', line));
}

function panesOf(
  snapshot: Snapshot,
  samples: readonly Sample[],
  { columns, rows }: Size,
  paint: Paint,
): string[] {
  if (rows <= 0) return [];
  const flow = (width: number): Block[] => [
    ratesPane(snapshot, samples, width, paint),
    timesPane(snapshot, width, paint),
    sendersPane(snapshot, width),
  ];
  const fates = (width: number): Block[] => [
    attemptsPane(snapshot, width, paint),
    reasonsPane(snapshot, width, paint),
  ];
  if (columns < TWO_PANES_FROM) {
    const ladder = ladderPane(snapshot, columns, rows, paint);
    return [...ladder, ...stack(flow(columns), rows - ladder.length, columns)];
  }
  const isWide = columns >= THREE_PANES_FROM;
  const width = Math.floor((columns - (isWide ? 2 : 1) * GAP) / (isWide ? 3 : 2));
  const ladder = ladderPane(snapshot, width, rows, paint);
  if (isWide)
    return sideBySide([ladder, stack(flow(width), rows, width), stack(fates(width), rows, width)], width);
  return sideBySide([ladder, stack([...flow(width), ...fates(width)], rows, width)], width);
}

/** Blocks one below the other, with blank lines between them where there is room. Blocks that do not fit shrink. */
function stack(blocks: readonly Block[], rows: number, width: number): string[] {
  const filled = blocks.filter((block) => block.length > 0);
  const needed = filled.reduce((sum, block) => sum + block.length, 0);
  if (needed + filled.length - 1 <= rows)
    return filled.flatMap((block, index) => (index === 0 ? block : ['', ...block]));
  const lines: string[] = [];
  filled.forEach((block, index) => {
    // What comes later keeps a title and two lines.
    const others = filled.slice(index + 1).reduce((sum, { length }) => sum + Math.min(3, length), 0);
    lines.push(...firstOf(Math.min(block.length, rows - lines.length - others), block, width));
  });
  return lines.slice(0, Math.max(0, rows));
}

function sideBySide(panes: readonly Block[], width: number): string[] {
  const height = Math.max(...panes.map(({ length }) => length));
  return Array.from({ length: height }, (_, row) =>
    panes
      .map((pane) => pane[row] ?? '')
      .map((line, index) => (index === panes.length - 1 ? line : paddedTo(width + GAP, line)))
      .join('')
      .trimEnd(),
  );
}
