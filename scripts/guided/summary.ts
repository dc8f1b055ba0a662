import { formatCount } from '../../shared/domain/format-count.ts';
import { outcomesIn } from '../../shared/domain/outcome/books.ts';
import { printable } from '../../shared/domain/printable.ts';
import { formatDuration } from '../../shared/domain/schedule/duration.ts';
import type { Snapshot } from '../../shared/domain/snapshot.ts';
import type { Config } from '../../shared/process/config/config.ts';
import { readBooks } from './snapshot.ts';

export interface RunFacts {
  readonly run: string;
  readonly snapshot: Snapshot;
  readonly seconds: number;
  readonly senders: number;
  readonly configured: Pick<Config, 'meanProcessingTime' | 'failureRate' | 'retrySchedule'>;
  /** Where the outcomes lie, in the person's words, a line each. */
  readonly places: readonly string[];
  /** Shows one outcome when typed. */
  readonly showOneOutcome: string | undefined;
}

export type Paint = (style: 'bold' | 'dim' | 'green' | 'red' | 'cyan', text: string) => string;

const barWidth = 32;
const eighths = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];

/** Whether accepted = sent + failed + parked + known. */
export function areBooksBalanced(snapshot: Snapshot): boolean {
  const books = readBooks(snapshot);
  return books.accepted === outcomesIn(books);
}

/** What a person reads after a run. */
export function formatSummary(facts: RunFacts, paint: Paint): string {
  const sections = [
    formatHeadline(facts, paint),
    formatOutcomes(facts.snapshot, paint),
    formatAttempts(facts, paint),
    formatMeasurements(facts, paint),
    formatPlaces(facts, paint),
    formatBooks(facts.snapshot, paint),
  ];
  return `${sections.map((lines) => lines.join('\n')).join('\n\n')}\n`;
}

function formatHeadline({ run, snapshot, seconds, senders }: RunFacts, paint: Paint): string[] {
  const { accepted } = readBooks(snapshot);
  const rate = seconds > 0 ? ` (${formatCount(Math.round(accepted / seconds))} per second)` : '';
  const who = `${formatCount(senders)} sender${senders === 1 ? '' : 's'}`;
  return [
    paint('bold', `Run ${run}`),
    `  ${formatCount(accepted)} SMS through ${who} in ${seconds.toFixed(1)} s${rate}`,
  ];
}

function formatOutcomes(snapshot: Snapshot, paint: Paint): string[] {
  const { accepted, sent, failed, parked } = readBooks(snapshot);
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

function formatAttempts({ snapshot, configured }: RunFacts, paint: Paint): string[] {
  // An object tells keys that are whole numbers in ascending order.
  const counts = Object.entries(snapshot.attemptsByNumber);
  const most = Math.max(1, ...counts.map(([, count]) => count));
  const rows = counts.map(([key, count]) => {
    const number = Number(key);
    const waitMs = configured.retrySchedule[number - 2];
    const wait = number === 1 || waitMs === undefined ? '' : `after ${formatDuration(waitMs)}`;
    const bar = paint('cyan', formatBar(count / most));
    return `  ${ordinal(number).padEnd(6)}${wait.padEnd(12)}${formatCount(count).padStart(10)}  ${bar}`;
  });
  return [
    `${paint('bold', 'Attempts')} ${paint('dim', `${formatCount(snapshot.attempts ?? 0)} in all`)}`,
    ...rows,
  ];
}

function formatMeasurements({ snapshot, configured }: RunFacts, paint: Paint): string[] {
  const { p50, p99: p99Bucket, max } = snapshot.retryLatenessSeconds;
  // Percentiles come from buckets, the largest is exact.
  const p99 = p99Bucket !== null && max !== null ? Math.min(p99Bucket, max) : p99Bucket;
  const rows: [string, string, string][] = [
    [
      'mean processing time',
      formatSeconds(snapshot.meanProcessingSeconds),
      formatSeconds(configured.meanProcessingTime / 1_000),
    ],
    ['failure rate', formatShare(snapshot.failureRate), formatShare(configured.failureRate)],
  ];
  return [
    `${paint('bold', 'Behaviour'.padEnd(24))}${paint('dim', 'measured'.padStart(10))}${paint('dim', 'configured'.padStart(14))}`,
    ...rows.map(
      ([name, measured, wanted]) => `  ${name.padEnd(22)}${measured.padStart(10)}${wanted.padStart(14)}`,
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
  return [
    paint('bold', 'Where the outcomes are'),
    ...places.map((place) => `  ${place}`),
    ...(showOneOutcome === undefined ? [] : [`  ${paint('dim', 'see one:')}`, `    ${showOneOutcome}`]),
  ];
}

function formatBooks(snapshot: Snapshot, paint: Paint): string[] {
  const { accepted, sent, failed, parked, known } = readBooks(snapshot);
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

function formatBar(share: number): string {
  const steps = Math.max(share > 0 ? 1 : 0, Math.round(share * barWidth * 8));
  return '█'.repeat(Math.floor(steps / 8)) + (eighths[steps % 8] ?? '');
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
