/** Snapshots for tests of views: one of a run that goes well, and any that could be. */
import {
  type Arbitrary,
  constantFrom,
  double,
  integer,
  option,
  record,
  string,
  uniqueArray,
} from 'fast-check';
import type { Percentiles, QueueDepths, RecentFlow, Snapshot } from '../../shared/domain/snapshot.ts';

const FLOW: RecentFlow = {
  attemptsPerSecond: 100,
  sentPerSecond: 80,
  failureRate: 0.2,
  processingSeconds: { p50: 0.35, p95: 1.5, p99: 2.3 },
  retryLatenessSeconds: { p50: 0.004, p99: 0.031 },
};

export const GOING_WELL: Snapshot = {
  at: '2026-11-22T10:00:00.000Z',
  ...{ accepted: 10_000, sent: 4_700, failed: 112, parked: 0, known: 0, inProgress: 5_188 },
  ...{ attempts: 6_180, attemptsFailed: 1_250, meanProcessingSeconds: 0.51 },
  processingSeconds: { p50: 0.35, p95: 1.5, p99: 2.3 },
  ...{ attemptsPerSecond: 100, sentPerSecond: 80, failureRate: 0.2 },
  retryLatenessSeconds: { p50: 0.004, p99: 0.031, max: 0.12 },
  queues: {
    ...{ work: 4_000, due: 8, journal: 2, parked: 0, deadLetters: 0, later: 0, high: 0, low: 0, hold: [] },
    retry: [
      { attempt: 1, delaySeconds: 5, messages: 740 },
      { attempt: 2, delaySeconds: 30, messages: 212 },
      { attempt: 3, delaySeconds: 120, messages: 28 },
    ],
    asOfSeconds: 0.02,
  },
  ...{ senders: 5, state: 'ok', repeatedSends: 0, idConflicts: 0 },
  attemptsByNumber: { 1: 5_500, 2: 600, 3: 80 },
  lastTenSeconds: FLOW,
  lastMinute: FLOW,
  ...{ unknown: 0, failedByReason: { 'carrier unavailable': 100, timeout: 12 }, expired: 0, cancelled: 0 },
  ...{ held: 0, throttled: 0, gateway: { state: 'open', until: null } },
  seenSenders: [
    { id: 'a1', host: 'one', inFlight: 40, attemptsPerSecond: 50, lastSeenSeconds: 1 },
    { id: 'b2', host: null, inFlight: null, attemptsPerSecond: null, lastSeenSeconds: 7 },
  ],
  problems: [],
};

const count = integer({ min: 0, max: 2_000_000_000 });
const known = <Value>(value: Arbitrary<Value>) => option(value, { freq: 6 });
const seconds = known(double({ min: 0, max: 1e6, noNaN: true }));
const rate = double({ min: 0, max: 1e5, noNaN: true });
const share = known(double({ min: 0, max: 1, noNaN: true }));
const percentiles: Arbitrary<Percentiles> = record({ p50: seconds, p95: seconds, p99: seconds });
const flow: Arbitrary<RecentFlow> = record({
  attemptsPerSecond: rate,
  sentPerSecond: rate,
  failureRate: share,
  processingSeconds: percentiles,
  retryLatenessSeconds: percentiles,
});
const delay = constantFrom(0.5, 1, 5, 30, 120, 600, 3_600, 86_400);
// A word of a provider may be of any script, and a problem may hold what a server said.
const text = string({ unit: 'grapheme', maxLength: 90 });
const queues: Arbitrary<QueueDepths & { asOfSeconds: number | null }> = record({
  ...{ work: known(count), due: known(count), journal: known(count), parked: known(count) },
  ...{ deadLetters: known(count), later: known(count), high: known(count), low: known(count) },
  retry: uniqueArray(
    record({ attempt: integer({ min: 1, max: 50 }), delaySeconds: delay, messages: count }),
    {
      maxLength: 12,
      selector: ({ attempt, delaySeconds }) => `${attempt} ${delaySeconds}`,
    },
  ),
  hold: uniqueArray(record({ delaySeconds: constantFrom(1, 4, 16, 64, 256, 1_024), messages: count }), {
    selector: ({ delaySeconds }) => delaySeconds,
  }),
  asOfSeconds: seconds,
});

/** Any numbers whatever: a view must not break, even where they contradict each other. */
export const anySnapshot: Arbitrary<Snapshot> = record({
  at: constantFrom('2026-11-22T10:00:00.000Z', '2026-11-22T23:59:59.999Z'),
  ...{ accepted: known(count), sent: known(count), failed: known(count), parked: known(count) },
  ...{ known: known(count), inProgress: known(count), attempts: known(count), attemptsFailed: known(count) },
  ...{ meanProcessingSeconds: seconds, processingSeconds: percentiles },
  ...{ attemptsPerSecond: known(rate), sentPerSecond: known(rate), failureRate: share },
  retryLatenessSeconds: record({ p50: seconds, p99: seconds, max: seconds }),
  queues,
  senders: known(integer({ min: 0, max: 1_000 })),
  state: constantFrom<Snapshot['state'][]>('ok', 'ok', 'rebuilding', 'stale'),
  ...{ repeatedSends: known(count), idConflicts: known(count) },
  attemptsByNumber: uniqueArray(integer({ min: 1, max: 51 })).map((numbers) =>
    Object.fromEntries(numbers.map((number) => [number, 10 * number])),
  ),
  ...{ lastTenSeconds: known(flow), lastMinute: known(flow), unknown: known(count) },
  failedByReason: uniqueArray(text, { maxLength: 8 }).map((reasons) =>
    Object.fromEntries(reasons.map((reason, index) => [reason, index + 1])),
  ),
  ...{ expired: known(count), cancelled: known(count), held: known(count), throttled: known(count) },
  gateway: known(
    constantFrom<NonNullable<Snapshot['gateway']>[]>(
      { state: 'open', until: null },
      { state: 'paused', until: '2026-11-22T10:00:09.000Z' },
    ),
  ),
  seenSenders: known(constantFrom(GOING_WELL.seenSenders ?? [], [])),
  problems: uniqueArray(text, { maxLength: 4 }),
});
