/**
 * What the monitor knows at one moment: one typed object, of which the terminal, JSON and every later view are
 * renderings. A number is null where it is not known: nothing was counted yet, or the server that knows it has not
 * answered yet. Key order is that of the JSON.
 */
import { type BucketCounts, mergeCounts, percentileOf } from '../shared/domain/histogram.ts';
import { parseRetryQueueName, queueNameOf, ROUTING_KEYS } from '../shared/domain/topology.ts';
import type {
  CounterReading,
  QueueReading,
  QueueReadings,
  RecentCounts,
  RunCounters,
  StoreMemory,
} from '../shared/ports.ts';
import { grouped } from './figures.ts';
import { type Known, newestOf } from './last-known.ts';
import type { Moment } from './moment.ts';
import { measureDepths, type QueueDepths, smsWaitingIn, UNKNOWN_DEPTHS, waitingIn } from './queue-depths.ts';

/** ok; counters were lost or not made yet, and a sender rebuilds them; a server does not answer (see problems). */
export type SnapshotState = 'ok' | 'rebuilding' | 'stale';

export interface Snapshot {
  /** ISO 8601. */
  readonly at: string;
  readonly accepted: number | null;
  readonly sent: number | null;
  readonly failed: number | null;
  readonly parked: number | null;
  /** SMS that came again and have their outcome in the run they were met in first. */
  readonly known: number | null;
  readonly inProgress: number | null;
  readonly attempts: number | null;
  readonly attemptsFailed: number | null;
  readonly meanProcessingSeconds: number | null;
  readonly processingSeconds: Percentiles;
  /** Of the last 10 s, as in `lastTenSeconds`. */
  readonly attemptsPerSecond: number | null;
  readonly sentPerSecond: number | null;
  /** Failed attempts among all attempts. */
  readonly failureRate: number | null;
  readonly retryLatenessSeconds: {
    readonly p50: number | null;
    readonly p99: number | null;
    readonly max: number | null;
  };
  /** Of the whole pipeline, also where the snapshot is of one run: queues do not know runs. */
  readonly queues: QueueDepths & {
    /** How old the oldest of these numbers may be. */
    readonly asOfSeconds: number | null;
  };
  readonly senders: number | null;
  readonly state: SnapshotState;
  readonly repeatedSends: number | null;
  readonly idConflicts: number | null;
  readonly attemptsByNumber: Readonly<Record<string, number>>;
  readonly lastTenSeconds: RecentFlow | null;
  readonly lastMinute: RecentFlow | null;
  /** Sentences for the operator: what is wrong and what to do. */
  readonly problems: readonly string[];
  readonly run?: string;
}

/** What was recorded within some seconds. Outcomes are recorded up to OUTCOME_BATCH_SECONDS after their last attempt. */
export interface RecentFlow {
  readonly attemptsPerSecond: number;
  readonly sentPerSecond: number;
  /** Failed attempts among all attempts. */
  readonly failureRate: number | null;
  readonly processingSeconds: Percentiles;
  readonly retryLatenessSeconds: Omit<Percentiles, 'p95'>;
}

interface Percentiles {
  readonly p50: number | null;
  readonly p95: number | null;
  readonly p99: number | null;
}

export interface SnapshotInput extends Moment {
  readonly nowMs: number;
  /** QUEUE_NAME. */
  readonly prefix: string;
  /** Counts of this run only. */
  readonly run?: string | undefined;
}

export const NO_SENDER = 'no sender is running: start one with "npx sender"';

const COUNTERS_NOT_VALID =
  'the counters are not valid: they are made, or rebuilt from S3, when a sender runs';
const MAX_NAMED_RUNS = 5;
/** Each tells of up to 16 KiB of attempts. */
const MANY_JOURNAL_MESSAGES = 1_000;
/** What Redis says it uses is not all that it counts against its limit. */
const FULL_FROM = 0.99;

export function makeSnapshot(input: SnapshotInput): Snapshot {
  const reading = newestOf(input.counters);
  const depths = depthsOf(input.prefix, newestOf(input.queues));
  const runs = reading === undefined ? undefined : chosenCounters(reading, input.run);
  const lastTenSeconds = describeRecent(reading?.lastTenSeconds, 10, input.run);
  const { books, ...flow } = describeRuns(runs, lastTenSeconds);
  return {
    at: new Date(input.nowMs).toISOString(),
    ...books,
    ...flow,
    queues: { ...depths, asOfSeconds: ageOf(input) },
    senders: reading?.livingSenders ?? null,
    state: stateOf(input),
    ...describeOddities(runs),
    lastTenSeconds,
    lastMinute: describeRecent(reading?.lastMinute, 60, input.run),
    problems: problemsOf(input, depths, books.inProgress ?? 0),
    ...(input.run === undefined ? {} : { run: input.run }),
  };
}

/** What waits in the queues: what senders have in hand is in progress, and in no queue that one could look into. */
function depthsOf(prefix: string, readings: QueueReadings | undefined): QueueDepths {
  if (readings === undefined) return UNKNOWN_DEPTHS;
  const isStuck = isDueMissing(prefix, readings.queues);
  return measureDepths(prefix, readings.queues, ({ name, ready, messages }) =>
    // Retries that have expired are ready nowhere until there is a queue that takes them.
    isStuck && parseRetryQueueName(prefix, name) !== undefined ? messages : ready,
  );
}

function isDueMissing(prefix: string, queues: readonly QueueReading[]): boolean {
  const due = queueNameOf(prefix, ROUTING_KEYS.due);
  return queues.length > 0 && !queues.some(({ name }) => name === due);
}

function ageOf({ nowMs, queues }: SnapshotInput): number | null {
  const readings = newestOf(queues);
  if (readings === undefined || queues.askedAtMs === undefined) return null;
  return rounded((Math.max(0, nowMs - queues.askedAtMs) + readings.readyAgeMs) / 1_000);
}

/** How many SMS wait in a queue that the counters do not know to be in progress. */
export function unknownSmsIn(prefix: string, { counters, queues }: Moment): number {
  if (counters.kind === 'stale' || queues.kind === 'stale' || !counters.reading.areValid) return 0;
  const { runs, done } = counters.reading;
  const inProgress = [...runs.values(), done.counters].reduce((sum, each) => sum + inProgressIn(each), 0);
  return Math.max(0, smsWaitingIn(depthsOf(prefix, queues.reading)) - inProgress);
}

/** SMS of a run that are accepted and have no outcome. */
export function inProgressIn(counters: RunCounters): number {
  const { sent, failed, parked, known } = counters;
  return acceptedOf(counters) - sent - failed - parked - known;
}

/** The counters that the snapshot adds up: of each run that is open, and of all that are done; or of the run asked for. */
function chosenCounters({ runs, done }: CounterReading, run: string | undefined): RunCounters[] {
  if (run === undefined) return [...runs.values(), done.counters];
  return [runs.get(run) ?? []].flat();
}

/** Accepted is the larger of what was announced and what senders met; an SMS with an outcome was met. */
export function acceptedOf(counters: RunCounters): number {
  const { announced, met, sent, failed, parked, known } = counters;
  return Math.max(announced, met, sent + failed + parked + known);
}

function describeRuns(runs: readonly RunCounters[] | undefined, lastTenSeconds: RecentFlow | null) {
  const total = (numberOf: (counters: RunCounters) => number) =>
    runs === undefined ? null : runs.reduce((sum, counters) => sum + numberOf(counters), 0);
  const attempts = total((counters) => counters.attempts);
  const attemptsFailed = total((counters) => counters.attemptsFailed);
  const processing = mergeCounts((runs ?? []).map((counters) => counters.processingBuckets));
  const lateness = mergeCounts((runs ?? []).map((counters) => counters.latenessBuckets));
  const accepted = total(acceptedOf);
  const sent = total((counters) => counters.sent);
  const failed = total((counters) => counters.failed);
  const parked = total((counters) => counters.parked);
  const known = total((counters) => counters.known);
  const ended = (sent ?? 0) + (failed ?? 0) + (parked ?? 0) + (known ?? 0);
  const inProgress = accepted === null ? null : accepted - ended;
  return {
    books: { accepted, sent, failed, parked, known, inProgress },
    attempts,
    attemptsFailed,
    meanProcessingSeconds: ratio(
      total((counters) => counters.processingMsSum),
      (attempts ?? 0) * 1_000,
    ),
    processingSeconds: percentilesOf(processing),
    attemptsPerSecond: lastTenSeconds?.attemptsPerSecond ?? null,
    sentPerSecond: lastTenSeconds?.sentPerSecond ?? null,
    failureRate: ratio(attemptsFailed, attempts ?? 0),
    retryLatenessSeconds: {
      p50: percentileSeconds(lateness, 0.5),
      p99: percentileSeconds(lateness, 0.99),
      max: largestSeconds((runs ?? []).map((counters) => counters.maxLatenessMs)),
    },
  };
}

function describeRecent(
  byRun: ReadonlyMap<string, RecentCounts> | undefined,
  seconds: number,
  run: string | undefined,
): RecentFlow | null {
  if (byRun === undefined) return null;
  const counts = run === undefined ? [...byRun.values()] : [byRun.get(run) ?? []].flat();
  const sumOf = (field: 'attempts' | 'attemptsFailed' | 'sent') =>
    counts.reduce((sum, each) => sum + each[field], 0);
  const processing = mergeCounts(counts.map(({ processingBuckets }) => processingBuckets));
  const lateness = mergeCounts(counts.map(({ latenessBuckets }) => latenessBuckets));
  return {
    attemptsPerSecond: rounded(sumOf('attempts') / seconds),
    sentPerSecond: rounded(sumOf('sent') / seconds),
    failureRate: ratio(sumOf('attemptsFailed'), sumOf('attempts')),
    processingSeconds: percentilesOf(processing),
    retryLatenessSeconds: { p50: percentileSeconds(lateness, 0.5), p99: percentileSeconds(lateness, 0.99) },
  };
}

function describeOddities(runs: readonly RunCounters[] | undefined) {
  const byNumber = mergeCounts((runs ?? []).map((counters) => counters.attemptsByNumber));
  return {
    repeatedSends: runs?.reduce((sum, counters) => sum + counters.repeatedSends, 0) ?? null,
    idConflicts: runs?.reduce((sum, counters) => sum + counters.idConflicts, 0) ?? null,
    attemptsByNumber: Object.fromEntries([...byNumber].sort(([left], [right]) => left - right)),
  };
}

function stateOf({ counters, queues }: SnapshotInput): SnapshotState {
  if (counters.kind === 'stale' || queues.kind === 'stale') return 'stale';
  return counters.reading.areValid ? 'ok' : 'rebuilding';
}

function problemsOf(input: SnapshotInput, depths: QueueDepths, inProgress: number): string[] {
  return [
    ...serverProblems(input),
    ...senderProblems(input.counters, waitingIn(depths) > 0 || inProgress > 0),
    ...recordingProblems(newestOf(input.counters), depths),
    ...queueProblems(input),
    ...runProblems(newestOf(input.counters), input.run),
  ];
}

function serverProblems({ counters, queues }: SnapshotInput): string[] {
  const problems: string[] = [];
  if (counters.kind === 'stale') problems.push(`Redis does not answer: ${counters.reason}`);
  else problems.push(...describeMemory(counters.reading.memory));
  if (queues.kind === 'stale') problems.push(`RabbitMQ does not answer: ${queues.reason}`);
  else if (!queues.reading.isComplete) problems.push(describeIncompleteness(queues.reading));
  return problems;
}

function describeMemory({ usedBytes, maxBytes, policy }: StoreMemory): string[] {
  return [
    ...(policy === 'noeviction'
      ? []
      : [
          `Redis drops keys when it is full (maxmemory-policy ${policy}), so nothing is recorded: set it to noeviction`,
        ]),
    ...(maxBytes > 0 && usedBytes >= FULL_FROM * maxBytes
      ? [
          `Redis is full (${Math.round(usedBytes / 2 ** 20)} of ${Math.round(maxBytes / 2 ** 20)} MiB): recording waits ` +
            'until there is room. Raise maxmemory, or lower KEEP_TIME',
        ]
      : []),
  ];
}

/** The sentence for queue readings without the management API. */
export function describeIncompleteness({ problem }: QueueReadings): string {
  const reason = problem === undefined ? '' : ` (${problem})`;
  return `the management API is unreachable, so queues are told by their ready messages only${reason}`;
}

// How many senders live is known only while Redis answers: who beats there is not asked anywhere else.
function senderProblems(counters: Known<CounterReading>, isSomethingWaiting: boolean): string[] {
  if (counters.kind === 'stale') return [];
  const { livingSenders, silentSenders, areValid } = counters.reading;
  return [
    ...(silentSenders > 0 ? [describeSilence(silentSenders)] : []),
    ...(areValid || livingSenders > 0 ? [] : [COUNTERS_NOT_VALID]),
    ...(isSomethingWaiting && livingSenders + silentSenders === 0 ? [NO_SENDER] : []),
  ];
}

/** The sentence for senders that may have died. */
export function describeSilence(silent: number): string {
  const who = silent === 1 ? 'a sender has' : `${silent} senders have`;
  return `${who} given no sign of life for more than 5 s: killed, frozen, or cut off from Redis`;
}

/** What keeps outcomes from being recorded. */
function recordingProblems(reading: CounterReading | undefined, depths: QueueDepths): string[] {
  const { livingSenders: senders = 0, livingRecorders: recorders = 0 } = reading ?? {};
  const isTold = (reading?.recordingTroubles.length ?? 0) > 0;
  return [
    ...describeBacklog(reading, depths.journal ?? 0),
    ...(recorders < senders && !isTold ? [describeSickRecorders(senders - recorders, senders)] : []),
    ...((depths.later ?? 0) > 0 ? [describeNewerLines(depths.later ?? 0)] : []),
  ];
}

/** Counters stand still, or are of some time ago, while outcomes wait. */
function describeBacklog(reading: CounterReading | undefined, waiting: number): string[] {
  if (reading === undefined || reading.livingSenders === 0) return [];
  const troubles = [...new Set(reading.recordingTroubles)];
  if (troubles.length === 0 && waiting < MANY_JOURNAL_MESSAGES) return [];
  const label = waiting === 1 ? 'journal message waits' : 'journal messages wait';
  return [`recording is behind: ${[`${grouped(waiting)} ${label}`, ...troubles].join('; ')}`];
}

function queueProblems(input: SnapshotInput): string[] {
  const { prefix, queues } = input;
  const unknown = unknownSmsIn(prefix, input);
  const readings = queues.kind === 'stale' ? [] : queues.reading.queues;
  const isStuck = isDueMissing(prefix, readings) && readings.some(isRetryWithMessages(prefix));
  return [
    ...(unknown > 0 ? [describeUnknownSms(unknown)] : []),
    ...(isStuck
      ? [
          `the queue ${queueNameOf(prefix, ROUTING_KEYS.due)} does not exist, so no retry comes back: ` +
            'a sender that starts declares it',
        ]
      : []),
  ];
}

function isRetryWithMessages(prefix: string): (queue: QueueReading) => boolean {
  return ({ name, messages }) => messages > 0 && parseRetryQueueName(prefix, name) !== undefined;
}

function describeUnknownSms(count: number): string {
  const who =
    count === 1 ? '1 SMS waits in a queue and is' : `${grouped(count)} SMS wait in the queues and are`;
  return (
    `${who} not among those in progress yet: published by another client than the producer, published again, ` +
    'or their announcement is not recorded yet'
  );
}

function describeSickRecorders(sick: number, senders: number): string {
  const who = senders === 1 ? 'the only sender cannot' : `${sick} of ${senders} senders cannot`;
  return `${who} record outcomes, they wait in the journal queue: its log says which store it cannot reach`;
}

function describeNewerLines(messages: number): string {
  return (
    `${messages} ${messages === 1 ? 'journal message waits' : 'journal messages wait'} for a newer version of Redial, ` +
    'which wrote lines in them that the senders running now do not know: start a sender of that version'
  );
}

function runProblems(reading: CounterReading | undefined, run: string | undefined): string[] {
  if (reading === undefined) return [];
  const runs = chosenCounters(reading, run);
  const conflicts = runs.reduce((sum, counters) => sum + counters.idConflicts, 0);
  return [
    ...(run !== undefined && runs.length === 0 ? [describeNothingCounted(run)] : []),
    ...describeInputConflicts(reading, run),
    ...describeIdConflicts(conflicts),
  ];
}

function describeNothingCounted(run: string): string {
  return (
    `nothing of run "${run}" is counted: it has not begun, or its SMS have had their outcomes for longer than ` +
    'KEEP_TIME ("npx monitor --audit" reads them in S3)'
  );
}

/** @param run only this run, where it is given */
export function describeInputConflicts({ runs, done }: CounterReading, run: string | undefined): string[] {
  const open = [...runs].filter(([, counters]) => counters.hasInputConflict).map(([name]) => name);
  const names = [...open, ...done.withInputConflict]
    .filter((name) => run === undefined || name === run)
    .map((name) => `"${name}"`);
  if (names.length === 0) return [];
  const more = names.length > MAX_NAMED_RUNS ? ` and ${names.length - MAX_NAMED_RUNS} more` : '';
  const label = names.length === 1 ? 'run' : 'runs';
  return [
    `${label} ${names.slice(0, MAX_NAMED_RUNS).join(', ')}${more} announced with different inputs: ` +
      'give each input a run name of its own',
  ];
}

export function describeIdConflicts(conflicts: number): string[] {
  if (conflicts === 0) return [];
  return [
    `${conflicts} ${conflicts === 1 ? 'SMS was' : 'SMS were'} met again with the same id and another content: ` +
      '"npx monitor --audit --json" names them',
  ];
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
