/** The parts of the screen: each is lines of at most a given width. */
import { formatCount } from '../../../shared/domain/format-count.ts';
import { printable } from '../../../shared/domain/printable.ts';
import type { Snapshot } from '../../../shared/domain/snapshot.ts';
import { grouped, percent, perSecond, shortTime } from '../figures.ts';
import type { Paint } from '../paint.ts';
import { barOf, sparklineOf } from '../picture/bars.ts';
import { ladderOf, type Rung } from '../picture/ladder.ts';
import type { Sample } from './samples.ts';
import { cutTo, firstOf, leftIn, rightIn } from './text.ts';

const NAME_WIDTH = 14;
const LABEL_WIDTH = 11;
const TIME_WIDTH = 6;
/** Numbers of queues that are older than this are marked. */
const OLD_FROM_SECONDS = 3;
const COLOUR_OF = { lane: 'green', retry: 'yellow', hold: 'cyan', books: 'dim' } as const;

/** A row for each queue. Where rows are few, empty queues go first, but for the two that everything goes through. */
export function ladderPane(snapshot: Snapshot, width: number, rows: number, paint: Paint): string[] {
  const rungs = ladderOf(snapshot);
  const isShown = ({ key, messages }: Rung) => messages !== 0 || key === 'work' || key === 'due';
  const shown = rungs.length < rows ? rungs : rungs.filter(isShown);
  const most = Math.max(1, ...rungs.map(({ messages }) => messages ?? 0));
  const countWidth = Math.max(5, ...rungs.map(({ messages }) => grouped(messages).length));
  const lines = shown.map(({ kind, name, label, messages }) => {
    const delay = kind === 'retry' ? (/\d\S*/.exec(label)?.[0] ?? '') : '';
    const title = leftIn(NAME_WIDTH, delay === '' ? name : `${leftIn(9, name)}${delay}`);
    const count = cutTo(width, `${title} ${rightIn(countWidth, grouped(messages))} `);
    return count + paint(COLOUR_OF[kind], barOf((messages ?? 0) / most, width - count.length));
  });
  return [paint('bold', cutTo(width, titleOf(snapshot))), ...firstOf(rows - 1, lines, width)].slice(0, rows);
}

function titleOf({ queues: { asOfSeconds } }: Snapshot): string {
  const age = asOfSeconds === null || asOfSeconds < OLD_FROM_SECONDS ? '' : `, ${shortTime(asOfSeconds)} ago`;
  return `What waits where${age}`;
}

export function ratesPane(
  snapshot: Snapshot,
  samples: readonly Sample[],
  width: number,
  paint: Paint,
): string[] {
  const { attemptsPerSecond, sentPerSecond, lastTenSeconds } = snapshot;
  const row = (name: string, value: string, line: (sparkWidth: number) => string) => {
    const text = cutTo(width, `${leftIn(LABEL_WIDTH, name)}${rightIn(8, value)} `);
    return text + paint('cyan', line(width - text.length));
  };
  const valuesOf = (key: keyof Sample) => samples.map((sample) => sample[key]);
  return [
    row('sent/s', perSecond(sentPerSecond), (wide) => sparklineOf(valuesOf('sentPerSecond'), wide)),
    row('attempts/s', perSecond(attemptsPerSecond), (wide) =>
      sparklineOf(valuesOf('attemptsPerSecond'), wide),
    ),
    row('failed %', percent(lastTenSeconds?.failureRate ?? null), (wide) =>
      sparklineOf(valuesOf('failureRate'), wide, 1),
    ),
  ];
}

/** Of all attempts, and of those of the last 10 s. */
export function timesPane(snapshot: Snapshot, width: number, paint: Paint): string[] {
  const { processingSeconds, retryLatenessSeconds: late, lastTenSeconds: now } = snapshot;
  const row = (name: string, times: readonly (number | null | undefined)[]) =>
    cutTo(width, leftIn(LABEL_WIDTH, name) + times.map(timeCell).join(''));
  const { p50, p95, p99 } = processingSeconds;
  const nowTook = now?.processingSeconds;
  const nowLate = now?.retryLatenessSeconds;
  const titles = ['p50', 'p95', 'p99', 'max'].map((title) => rightIn(TIME_WIDTH, title)).join('');
  return [
    paint('dim', cutTo(width, `${' '.repeat(LABEL_WIDTH)}${titles}`)),
    row('processing', [p50, p95, p99]),
    row('  last 10 s', [nowTook?.p50 ?? null, nowTook?.p95 ?? null, nowTook?.p99 ?? null]),
    row('retry late', [late.p50, undefined, late.p99, late.max]),
    row('  last 10 s', [nowLate?.p50 ?? null, undefined, nowLate?.p99 ?? null]),
  ];
}

/** @param seconds undefined where nobody measures it */
function timeCell(seconds: number | null | undefined): string {
  return rightIn(TIME_WIDTH, seconds === undefined ? '' : shortTime(seconds));
}

export function sendersPane(snapshot: Snapshot, width: number): string[] {
  const { senders, gateway, unknown, throttled, expired, cancelled, repeatedSends, idConflicts } = snapshot;
  const rare: [string, number | null][] = [
    ['unknown', unknown],
    ['throttled', throttled],
    ['expired', expired],
    ['cancelled', cancelled],
    ['repeated', repeatedSends],
    ['conflicts', idConflicts],
  ];
  const told = rare
    .filter(([, count]) => (count ?? 0) > 0)
    .map(([name, count]) => `${name} ${grouped(count)}`);
  return [
    cutTo(
      width,
      `${leftIn(LABEL_WIDTH, 'senders')}${rightIn(8, grouped(senders))}   gateway ${gateway?.state ?? '-'}`,
    ),
    ...(told.length === 0 ? [] : [cutTo(width, told.join(', '))]),
  ];
}

export function attemptsPane(snapshot: Snapshot, width: number, paint: Paint): string[] {
  const { attempts, attemptsFailed, attemptsByNumber } = snapshot;
  const rows = Object.entries(attemptsByNumber);
  const most = Math.max(1, ...rows.map(([, count]) => count));
  const countWidth = Math.max(5, ...rows.map(([, count]) => formatCount(count).length));
  const title = `${grouped(attempts)} attempts, ${grouped(attemptsFailed)} failed`;
  return [
    paint('bold', cutTo(width, title)),
    ...rows.map(([number, count]) => {
      const text = cutTo(width, `${rightIn(3, number)} ${rightIn(countWidth, formatCount(count))} `);
      return text + paint('cyan', barOf(count / most, width - text.length));
    }),
  ];
}

export function reasonsPane({ failedByReason }: Snapshot, width: number, paint: Paint): string[] {
  const rows = Object.entries(failedByReason).sort(([, left], [, right]) => right - left);
  if (rows.length === 0) return [];
  const countWidth = Math.max(5, ...rows.map(([, count]) => formatCount(count).length));
  return [
    paint('bold', cutTo(width, 'SMS failed because of')),
    ...rows.map(([reason, count]) =>
      cutTo(width, `${rightIn(countWidth + 4, formatCount(count))} ${printable(reason)}`),
    ),
  ];
}
