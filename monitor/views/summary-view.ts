import { counted } from '../../shared/domain/format-count.ts';
import { printable } from '../../shared/domain/printable.ts';
import { formatDuration } from '../../shared/domain/schedule/duration.ts';
import type { HoldDepth, RecentFlow, RetryDepth, Snapshot } from '../../shared/domain/snapshot.ts';
import { alignedRows, grouped, percent, perSecond, type Row, seconds, sumOf } from './figures.ts';

const MAX_REASONS_SHOWN = 5;

/** A snapshot as a small block to read once. */
export function renderSummary(snapshot: Snapshot): string {
  const run = snapshot.run === undefined ? '' : `, run "${snapshot.run}"`;
  return [
    `${snapshot.at}, state ${snapshot.state}${run}`,
    ...alignedRows([
      ['SMS', sumOf(snapshot, (snapshot.known ?? 0) > 0)],
      ...renderReasons(snapshot),
      ['attempts', renderAttempts(snapshot)],
      ['processing', renderProcessing(snapshot)],
      ['retries', renderLateness(snapshot)],
      ['last 10 s', renderFlow(snapshot.lastTenSeconds)],
      ['last 60 s', renderFlow(snapshot.lastMinute)],
      ['queues', renderQueues(snapshot)],
      ['senders', grouped(snapshot.senders)],
      ...renderGateway(snapshot),
      ...snapshot.problems.map((problem): Row => ['problem', problem]),
    ]),
  ]
    .map(printable)
    .join('\n');
}

function renderAttempts(snapshot: Snapshot): string {
  const { attempts, attemptsFailed, failureRate, repeatedSends, unknown } = snapshot;
  const share = failureRate === null ? '' : ` (${percent(failureRate)} %)`;
  const repeats = (repeatedSends ?? 0) > 0 ? `, ${grouped(repeatedSends)} repeated` : '';
  const unclear = (unknown ?? 0) > 0 ? `, ${grouped(unknown)} without a clear answer` : '';
  return `${grouped(attempts)}, of them ${grouped(attemptsFailed)} failed${share}${unclear}${repeats}`;
}

/** The most frequent reasons; none where nothing has failed. */
function renderReasons({ failedByReason }: Snapshot): Row[] {
  const reasons = Object.entries(failedByReason).sort(([, left], [, right]) => right - left);
  if (reasons.length === 0) return [];
  const shown = reasons.slice(0, MAX_REASONS_SHOWN).map(([reason, count]) => `${reason} ${grouped(count)}`);
  const more = reasons.length - shown.length;
  return [
    ['failed', [...shown, ...(more > 0 ? [counted(more, 'more reason', 'more reasons')] : [])].join(', ')],
  ];
}

/** Said only where the carrier has throttled. */
function renderGateway({ gateway, throttled }: Snapshot): Row[] {
  const isPaused = gateway?.state === 'paused';
  if (!isPaused && (throttled ?? 0) === 0) return [];
  const state = isPaused ? `paused until ${gateway.until}` : 'open';
  return [['gateway', `${state}, throttled ${counted(throttled ?? 0, 'time', 'times')}`]];
}

function renderFlow(flow: RecentFlow | null): string {
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

function renderProcessing({ meanProcessingSeconds, processingSeconds }: Snapshot): string {
  const { p50, p95, p99 } = processingSeconds;
  return (
    `mean ${withUnit(meanProcessingSeconds)}, p50 ${withUnit(p50)}, ` +
    `p95 ${withUnit(p95)}, p99 ${withUnit(p99)}`
  );
}

function renderLateness({ retryLatenessSeconds: { p50, p99, max } }: Snapshot): string {
  return `late by p50 ${withUnit(p50)}, p99 ${withUnit(p99)}, max ${withUnit(max)}`;
}

function renderQueues({ queues }: Snapshot): string {
  const { work, due, journal, parked, high, low, retry, hold } = queues;
  const lanes: [string, number | null][] = [
    ['high', high],
    ['low', low],
  ];
  return [
    `work ${grouped(work)}, due ${grouped(due)}, journal ${grouped(journal)}, parked ${grouped(parked)}`,
    ...lanes.filter(([, count]) => (count ?? 0) > 0).map(([name, count]) => `${name} ${grouped(count)}`),
    ...retry.map(renderRetryQueue),
    ...hold.filter(({ messages }) => messages > 0).map(renderHoldQueue),
  ].join(', ');
}

function renderRetryQueue({ attempt, delaySeconds, messages }: RetryDepth): string {
  return `retry ${attempt} (${formatDuration(Math.round(delaySeconds * 1_000))}) ${grouped(messages)}`;
}

function renderHoldQueue({ delaySeconds, messages }: HoldDepth): string {
  return `hold (${formatDuration(Math.round(delaySeconds * 1_000))}) ${grouped(messages)}`;
}

function withUnit(value: number | null): string {
  const text = seconds(value);
  return text === '-' || text.endsWith('ms') ? text.replace('ms', ' ms') : `${text} s`;
}
