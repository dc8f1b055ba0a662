import { counted, formatCount } from '../../../shared/domain/format-count.ts';
import { printable } from '../../../shared/domain/printable.ts';
import { formatDuration } from '../../../shared/domain/schedule/duration.ts';
import type { Snapshot } from '../../../shared/domain/snapshot.ts';
import type { Paint } from '../paint.ts';
import { barOf } from '../picture/bars.ts';
import { areBooksBalanced, booksOf } from './books.ts';

export interface RunFacts {
  readonly snapshot: Snapshot;
  /** How long the run took. Undefined where only its end was seen. */
  readonly seconds?: number;
  readonly senders: number | null;
  /** What was asked for, beside what was measured. Times in milliseconds. */
  readonly configured?: { readonly meanProcessingTime: number; readonly failureRate: number };
  /** Where the outcomes lie, in the person's words, a line each. */
  readonly places?: readonly string[];
  /** Shows one outcome when typed. */
  readonly showOneOutcome?: string | undefined;
}

const BAR_WIDTH = 32;
const MAX_REASONS = 8;

/** What a person reads after a run. */
export function renderRunSummary(facts: RunFacts, paint: Paint): string {
  const { snapshot } = facts;
  const sections = [
    formatHeadline(facts, paint),
    formatOutcomes(snapshot, paint),
    formatReasons(snapshot, paint),
    formatAttempts(snapshot, paint),
    formatMeasurements(facts, paint),
    formatPlaces(facts, paint),
    formatBooks(snapshot, paint),
  ].filter((lines) => lines.length > 0);
  return `${sections.map((lines) => lines.join('\n')).join('\n\n')}\n`;
}

function formatHeadline({ snapshot, seconds, senders }: RunFacts, paint: Paint): string[] {
  const { accepted } = booksOf(snapshot);
  const rate = seconds ? ` (${formatCount(Math.round(accepted / seconds))} per second)` : '';
  const howLong = seconds === undefined ? '' : ` in ${seconds.toFixed(1)} s${rate}`;
  const who = senders === null ? 'an unknown number of senders' : counted(senders, 'sender', 'senders');
  return [
    paint('bold', snapshot.run === undefined ? 'All runs' : `Run ${snapshot.run}`),
    `  ${formatCount(accepted)} SMS through ${who}${howLong}`,
  ];
}

function formatOutcomes(snapshot: Snapshot, paint: Paint): string[] {
  const { accepted, sent, failed, parked } = booksOf(snapshot);
  const share = (part: number) => (accepted === 0 ? '' : `${((100 * part) / accepted).toFixed(1)} %`);
  const rows: [string, number, string, string][] = [
    ['accepted', accepted, '', 'confirmed by RabbitMQ'],
    ['sent', sent, share(sent), 'the carrier took it'],
    ['failed', failed, share(failed), 'given up after the last attempt'],
    ['parked', parked, share(parked), 'could not be read'],
  ];
  return [
    paint('bold', 'Outcomes'),
    ...rows.map(
      ([name, count, percent, meaning]) =>
        `  ${name.padEnd(10)}${formatCount(count).padStart(10)}${percent.padStart(9)}   ${paint('dim', meaning)}`,
    ),
  ];
}

/** Why SMS were given up, the most frequent reason first. */
function formatReasons({ failedByReason }: Snapshot, paint: Paint): string[] {
  const reasons = Object.entries(failedByReason).sort(([, left], [, right]) => right - left);
  if (reasons.length === 0) return [];
  const rows = reasons.slice(0, MAX_REASONS);
  const more = reasons.length - rows.length;
  return [
    paint('bold', 'Failed because of'),
    ...rows.map(([reason, count]) => `  ${printable(reason).padEnd(24)}${formatCount(count).padStart(10)}`),
    ...(more > 0 ? [`  and ${counted(more, 'more reason', 'more reasons')}`] : []),
  ];
}

function formatAttempts(snapshot: Snapshot, paint: Paint): string[] {
  // An object tells keys that are whole numbers in ascending order.
  const counts = Object.entries(snapshot.attemptsByNumber);
  const most = Math.max(1, ...counts.map(([, count]) => count));
  const rows = counts.map(([key, count]) => {
    const number = Number(key);
    const bar = paint('cyan', barOf(count / most, BAR_WIDTH));
    const wait = waitBefore(number, snapshot);
    return `  ${ordinal(number).padEnd(6)}${wait.padEnd(12)}${formatCount(count).padStart(10)}  ${bar}`;
  });
  return [
    `${paint('bold', 'Attempts')} ${paint('dim', `${formatCount(snapshot.attempts ?? 0)} in all`)}`,
    ...rows,
  ];
}

/** The retry queues are the schedule. There are several for one attempt where the schedule was changed. */
function waitBefore(number: number, { queues }: Snapshot): string {
  const delays = queues.retry.filter(({ attempt }) => attempt === number - 1);
  const [first] = delays;
  if (first === undefined) return '';
  return delays.length > 1
    ? 'after a wait'
    : `after ${formatDuration(Math.round(first.delaySeconds * 1_000))}`;
}

function formatMeasurements({ snapshot, configured }: RunFacts, paint: Paint): string[] {
  const { p50, p99: p99Bucket, max } = snapshot.retryLatenessSeconds;
  // Percentiles come from buckets, the largest is exact.
  const p99 = p99Bucket !== null && max !== null ? Math.min(p99Bucket, max) : p99Bucket;
  const rows: [string, string, string][] = [
    [
      'mean processing time',
      formatSeconds(snapshot.meanProcessingSeconds),
      configured === undefined ? '' : formatSeconds(configured.meanProcessingTime / 1_000),
    ],
    [
      'failure rate',
      formatShare(snapshot.failureRate),
      configured === undefined ? '' : formatShare(configured.failureRate),
    ],
  ];
  const asked = configured === undefined ? '' : paint('dim', 'configured'.padStart(14));
  return [
    `${paint('bold', 'Behaviour'.padEnd(24))}${paint('dim', 'measured'.padStart(10))}${asked}`,
    ...rows.map(([name, measured, wanted]) =>
      `  ${name.padEnd(22)}${measured.padStart(10)}${wanted.padStart(14)}`.trimEnd(),
    ),
    `  retries came late by  p50 ${formatLateness(p50)}, p99 ${formatLateness(p99)}, at most ${formatLateness(max)}`,
    ...formatOddities(snapshot),
  ];
}

/** Said only where there is something to say. */
function formatOddities({ repeatedSends, idConflicts, problems }: Snapshot): string[] {
  return [
    ...(repeatedSends ? [`  repeated sends        ${formatCount(repeatedSends)}`] : []),
    ...(idConflicts ? [`  id conflicts          ${formatCount(idConflicts)}`] : []),
    ...problems.map((problem) => `  ${printable(problem)}`),
  ];
}

function formatPlaces({ places, showOneOutcome }: RunFacts, paint: Paint): string[] {
  if (places === undefined) return [];
  return [
    paint('bold', 'Where the outcomes are'),
    ...places.map((place) => `  ${place}`),
    ...(showOneOutcome === undefined ? [] : [`  ${paint('dim', 'see one:')}`, `    ${showOneOutcome}`]),
  ];
}

function formatBooks(snapshot: Snapshot, paint: Paint): string[] {
  const { accepted, sent, failed, parked, known } = booksOf(snapshot);
  const again = known > 0 ? ` + known ${formatCount(known)}` : '';
  const sum = `sent ${formatCount(sent)} + failed ${formatCount(failed)} + parked ${formatCount(parked)}${again}`;
  if (areBooksBalanced(snapshot))
    return [paint('green', `Books balance: accepted ${formatCount(accepted)} = ${sum}`)];
  const missing = accepted - sent - failed - parked - known;
  return [
    paint(
      'red',
      `Books do not balance: accepted ${formatCount(accepted)}, but ${sum}; ${formatCount(missing)} without an outcome`,
    ),
  ];
}

function formatSeconds(seconds: number | null): string {
  return seconds === null ? 'unknown' : `${seconds.toFixed(3)} s`;
}

function formatShare(share: number | null): string {
  return share === null ? 'unknown' : `${(100 * share).toFixed(1)} %`;
}

function formatLateness(seconds: number | null): string {
  if (seconds === null) return 'unknown';
  return seconds < 1 ? `${Math.round(seconds * 1_000)} ms` : `${seconds.toFixed(1)} s`;
}

function ordinal(number: number): string {
  const isTeen = number % 100 >= 11 && number % 100 <= 13;
  const ending = isTeen ? 'th' : (['th', 'st', 'nd', 'rd'][number % 10] ?? 'th');
  return `${number}${ending}`;
}
