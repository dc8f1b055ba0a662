/** Makes the snapshot out of what both servers have told. */
import { type BucketCounts, mergeCounts, percentileOf } from '../../domain/histogram.ts';
import { acceptedOf, inProgressIn } from '../../domain/outcome/books.ts';
import { reasonsOf } from '../../domain/outcome/failure-reason.ts';
import { REASONS } from '../../domain/schedule/retry-schedule.ts';
import type {
  GatewayState,
  Percentiles,
  RecentFlow,
  Snapshot,
  SnapshotState,
} from '../../domain/snapshot.ts';
import type { CounterReading, RecentCounts, RunCounters } from '../../ports/counter-reader.ts';
import { newestOf } from './last-known.ts';
import type { Moment } from './moment.ts';
import { problemsIn } from './problems.ts';
import { depthsOfWaiting, heldIn } from './queue-depths.ts';

export interface SnapshotInput extends Moment {
  readonly nowMs: number;
  /** QUEUE_NAME. */
  readonly prefix: string;
  /** Counts of this run only. */
  readonly run?: string | undefined;
}

export function makeSnapshot(input: SnapshotInput): Snapshot {
  const { nowMs, prefix, run } = input;
  const reading = newestOf(input.counters);
  const runs = reading === undefined ? undefined : chosenCounters(reading, run);
  const sum = (numberOf: (counters: RunCounters) => number) =>
    runs?.reduce((total, each) => total + numberOf(each), 0) ?? null;
  const merged = (countsOf: (counters: RunCounters) => BucketCounts) =>
    mergeCounts((runs ?? []).map(countsOf));
  const attempts = sum((counters) => counters.attempts);
  const attemptsFailed = sum((counters) => counters.attemptsFailed);
  const lateness = merged((counters) => counters.latenessBuckets);
  const attemptsByNumber = merged((counters) => counters.attemptsByNumber);
  const inProgress = sum(inProgressIn);
  const lastTenSeconds = flowOf(reading?.lastTenSeconds, 10, run);
  const depths = depthsOfWaiting(prefix, newestOf(input.queues)?.queues);
  return {
    at: new Date(nowMs).toISOString(),
    accepted: sum(acceptedOf),
    sent: sum((counters) => counters.sent),
    failed: sum((counters) => counters.failed),
    parked: sum((counters) => counters.parked),
    known: sum((counters) => counters.known),
    inProgress,
    attempts,
    attemptsFailed,
    meanProcessingSeconds: ratio(
      sum((counters) => counters.processingMsSum),
      (attempts ?? 0) * 1_000,
    ),
    processingSeconds: percentilesOf(merged((counters) => counters.processingBuckets)),
    attemptsPerSecond: lastTenSeconds?.attemptsPerSecond ?? null,
    sentPerSecond: lastTenSeconds?.sentPerSecond ?? null,
    failureRate: ratio(attemptsFailed, attempts ?? 0),
    retryLatenessSeconds: {
      p50: percentileSeconds(lateness, 0.5),
      p99: percentileSeconds(lateness, 0.99),
      max: largestSeconds((runs ?? []).map((counters) => counters.maxLatenessMs)),
    },
    queues: { ...depths, asOfSeconds: ageOf(input) },
    senders: reading?.livingSenders ?? null,
    state: stateOf(input),
    repeatedSends: sum((counters) => counters.repeatedSends),
    idConflicts: sum((counters) => counters.idConflicts),
    attemptsByNumber: Object.fromEntries([...attemptsByNumber].sort(([left], [right]) => left - right)),
    lastTenSeconds,
    lastMinute: flowOf(reading?.lastMinute, 60, run),
    unknown: sum((counters) => counters.attemptsUnknown),
    ...countReasons(runs),
    held: heldIn(depths),
    throttled: reading?.throttled ?? null,
    gateway: gatewayOf(input),
    seenSenders: reading?.seenSenders ?? null,
    problems: [...problemsIn(input, runs, depths, inProgress ?? 0)],
    ...(run === undefined ? {} : { run }),
  };
}

/** The counters that the snapshot adds up: of each run that is open, and of all that are done; or of the run asked for. */
function chosenCounters({ runs, done }: CounterReading, run: string | undefined): RunCounters[] {
  if (run === undefined) return [...runs.values(), done.counters];
  return [runs.get(run) ?? []].flat();
}

function flowOf(
  byRun: ReadonlyMap<string, RecentCounts> | undefined,
  seconds: number,
  run: string | undefined,
): RecentFlow | null {
  if (byRun === undefined) return null;
  const counts = run === undefined ? [...byRun.values()] : [byRun.get(run) ?? []].flat();
  const sumOf = (field: 'attempts' | 'attemptsFailed' | 'sent') =>
    counts.reduce((sum, each) => sum + each[field], 0);
  const lateness = mergeCounts(counts.map(({ latenessBuckets }) => latenessBuckets));
  return {
    attemptsPerSecond: rounded(sumOf('attempts') / seconds),
    sentPerSecond: rounded(sumOf('sent') / seconds),
    failureRate: ratio(sumOf('attemptsFailed'), sumOf('attempts')),
    processingSeconds: percentilesOf(mergeCounts(counts.map(({ processingBuckets }) => processingBuckets))),
    retryLatenessSeconds: { p50: percentileSeconds(lateness, 0.5), p99: percentileSeconds(lateness, 0.99) },
  };
}

function ageOf({ nowMs, queues }: SnapshotInput): number | null {
  const readings = newestOf(queues);
  if (readings === undefined || queues.askedAtMs === undefined) return null;
  return rounded((Math.max(0, nowMs - queues.askedAtMs) + readings.readyAgeMs) / 1_000);
}

function stateOf({ counters, queues }: SnapshotInput): SnapshotState {
  if (counters.kind === 'stale' || queues.kind === 'stale') return 'stale';
  return counters.reading.areValid ? 'ok' : 'rebuilding';
}

/** @param runs undefined while no counters were told */
function countReasons(runs: readonly RunCounters[] | undefined) {
  const counts = mergeCounts((runs ?? []).map(({ failedByReason }) => failedByReason));
  const failed = (runs ?? []).reduce((sum, counters) => sum + counters.failed, 0);
  const countOf = (reason: string) => (runs === undefined ? null : (counts.get(reason) ?? 0));
  return {
    failedByReason: Object.fromEntries(reasonsOf(failed, counts)),
    expired: countOf(REASONS.expired),
    cancelled: countOf(REASONS.cancelled),
  };
}

function gatewayOf({ counters }: SnapshotInput): GatewayState | null {
  if (counters.kind === 'stale') return null;
  const { pausedUntilMs } = counters.reading;
  if (pausedUntilMs === undefined) return { state: 'open', until: null };
  return { state: 'paused', until: new Date(pausedUntilMs).toISOString() };
}

function percentilesOf(counts: BucketCounts): Percentiles {
  return {
    p50: percentileSeconds(counts, 0.5),
    p95: percentileSeconds(counts, 0.95),
    p99: percentileSeconds(counts, 0.99),
  };
}

function percentileSeconds(counts: BucketCounts, share: number): number | null {
  const valueMs = percentileOf(counts, share);
  return valueMs === undefined ? null : rounded(valueMs / 1_000);
}

function largestSeconds(valuesMs: readonly (number | undefined)[]): number | null {
  const known = valuesMs.filter((value) => value !== undefined);
  if (known.length === 0) return null;
  return rounded(
    known.reduce((largest, value) => Math.max(largest, value), Number.NEGATIVE_INFINITY) / 1_000,
  );
}

function ratio(part: number | null, whole: number): number | null {
  return part === null || whole === 0 ? null : rounded(part / whole);
}

function rounded(value: number): number {
  return Math.round(value * 1_000) / 1_000;
}
