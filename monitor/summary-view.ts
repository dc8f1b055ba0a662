import { formatDuration } from '../shared/domain/duration.ts';
import { printable } from '../shared/domain/printable.ts';
import { grouped, percent, perSecond, seconds } from './figures.ts';
import type { RetryDepth } from './queue-depths.ts';
import type { RecentFlow, Snapshot } from './snapshot.ts';

/** A snapshot as a small block to read once. */
export function renderSummary(snapshot: Snapshot): string {
  const run = snapshot.run === undefined ? '' : `, run "${snapshot.run}"`;
  return [
    `${snapshot.at}, state ${snapshot.state}${run}`,
    ...alignedRows([
      ['SMS', describeBooks(snapshot)],
      ['attempts', describeAttempts(snapshot)],
      ['processing', describeProcessing(snapshot)],
      ['retries', describeLateness(snapshot)],
      ['last 10 s', describeRecent(snapshot.lastTenSeconds)],
      ['last 60 s', describeRecent(snapshot.lastMinute)],
      ['queues', describeQueues(snapshot)],
      ['senders', grouped(snapshot.senders)],
      ...snapshot.problems.map((problem): Row => ['problem', problem]),
    ]),
  ]
    .map(printable)
    .join('\n');
}

type Row = readonly [label: string, text: string];

export function alignedRows(rows: readonly Row[]): string[] {
  const width = Math.max(...rows.map(([label]) => label.length));
  return rows.map(([label, text]) => `  ${label.padEnd(width)}  ${text}`);
}

function describeBooks({ accepted, inProgress, sent, failed, parked, known }: Snapshot): string {
  const again = (known ?? 0) > 0 ? `${grouped(known)} known + ` : '';
  return (
    `${grouped(accepted)} accepted = ${grouped(sent)} sent + ${grouped(failed)} failed + ` +
    `${grouped(parked)} parked + ${again}${grouped(inProgress)} in progress`
  );
}

function describeAttempts(snapshot: Snapshot): string {
  const { attempts, attemptsFailed, failureRate, repeatedSends } = snapshot;
  const share = failureRate === null ? '' : ` (${percent(failureRate)} %)`;
  const repeats = (repeatedSends ?? 0) > 0 ? `, ${grouped(repeatedSends)} repeated` : '';
  return `${grouped(attempts)}, of them ${grouped(attemptsFailed)} failed${share}${repeats}`;
}

function describeRecent(flow: RecentFlow | null): string {
  if (flow === null) return '-';
  const { attemptsPerSecond, sentPerSecond, failureRate, processingSeconds, retryLatenessSeconds } = flow;
  const rates = `${perSecond(attemptsPerSecond)} attempts/s, ${perSecond(sentPerSecond)} sent/s`;
  if (failureRate === null) return rates;
  const late = retryLatenessSeconds.p99;
  return [
    `${rates}, ${percent(failureRate)} % failed`,
    `p50 ${withUnit(processingSeconds.p50)}, p99 ${withUnit(processingSeconds.p99)}`,
    ...(late === null ? [] : [`late p99 ${withUnit(late)}`]),
  ].join(', ');
}

function describeProcessing({ meanProcessingSeconds, processingSeconds }: Snapshot): string {
  const { p50, p95, p99 } = processingSeconds;
  return (
    `mean ${withUnit(meanProcessingSeconds)}, p50 ${withUnit(p50)}, ` +
    `p95 ${withUnit(p95)}, p99 ${withUnit(p99)}`
  );
}

function describeLateness({ retryLatenessSeconds: { p50, p99, max } }: Snapshot): string {
  return `late by p50 ${withUnit(p50)}, p99 ${withUnit(p99)}, max ${withUnit(max)}`;
}

function describeQueues({ queues }: Snapshot): string {
  const { work, due, journal, parked, retry } = queues;
  return [
    `work ${grouped(work)}, due ${grouped(due)}, journal ${grouped(journal)}, parked ${grouped(parked)}`,
    ...retry.map(describeRetryQueue),
  ].join(', ');
}

function describeRetryQueue({ attempt, delaySeconds, messages }: RetryDepth): string {
  return `retry ${attempt} (${formatDuration(Math.round(delaySeconds * 1_000))}) ${grouped(messages)}`;
}

function withUnit(value: number | null): string {
  const text = seconds(value);
  return text === '-' || text.endsWith('ms') ? text.replace('ms', ' ms') : `${text} s`;
}
