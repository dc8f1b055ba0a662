/** What is wrong at one moment, and what to do about it: a sentence for each problem. */

import { counted } from '../../domain/format-count.ts';
import type { QueueDepths } from '../../domain/snapshot.ts';
import { queueNameOf, ROUTING_KEYS } from '../../domain/topology/topology.ts';
import type { CounterReading, RunCounters, StoreMemory } from '../../ports/counter-reader.ts';
import type { QueueReadings } from '../../ports/queue-reader.ts';
import { newestOf } from './last-known.ts';
import { unknownSmsIn } from './moment.ts';
import { areRetriesStuck, waitingIn } from './queue-depths.ts';
import type { SnapshotInput } from './snapshot.ts';

type Sentences = Generator<string, void, undefined>;

/** How the sentence on a server begins that does not answer. */
export const SILENT = { redis: 'Redis does not answer', rabbitmq: 'RabbitMQ does not answer' } as const;

export const NO_SENDER = 'no sender is running: start one with "npx sender"';

const MAX_NAMED_RUNS = 5;
/** Each tells of up to 16 KiB of attempts. */
const MANY_JOURNAL_MESSAGES = 1_000;
/** What Redis says it uses is not all that it counts against its limit. */
const FULL_FROM = 0.99;
/** Shorter pauses come and go while a carrier is busy. */
const LONG_PAUSE_MS = 5_000;

/** @param runs the counters that the snapshot adds up; undefined while none were told */
export function* problemsIn(
  input: SnapshotInput,
  runs: readonly RunCounters[] | undefined,
  depths: QueueDepths,
  inProgress: number,
): Sentences {
  const { run } = input;
  const reading = newestOf(input.counters);
  yield* serverProblems(input);
  yield* senderProblems(input, waitingIn(depths) > 0 || inProgress > 0);
  yield* recordingProblems(reading, depths);
  yield* queueProblems(input);
  yield* pauseProblems(input);
  if (reading === undefined || runs === undefined) return;
  if (run !== undefined && runs.length === 0)
    yield `nothing of run "${run}" is counted: it has not begun, or its SMS have had their outcomes for longer than ` +
      'KEEP_TIME ("npx monitor --audit" reads them in S3)';
  yield* inputConflictProblems(reading, run);
  yield* idConflictProblems(runs.reduce((sum, counters) => sum + counters.idConflicts, 0));
}

function* serverProblems({ counters, queues }: SnapshotInput): Sentences {
  if (counters.kind === 'stale') yield `${SILENT.redis}: ${counters.reason}`;
  else yield* memoryProblems(counters.reading.memory);
  if (queues.kind === 'stale') yield `${SILENT.rabbitmq}: ${queues.reason}`;
  else if (!queues.reading.isComplete) yield describeReadyOnly(queues.reading);
}

function* memoryProblems({ usedBytes, maxBytes, policy }: StoreMemory): Sentences {
  if (policy !== 'noeviction')
    yield `Redis drops keys when it is full (maxmemory-policy ${policy}), so nothing is recorded: set it to noeviction`;
  if (maxBytes > 0 && usedBytes >= FULL_FROM * maxBytes)
    yield `Redis is full (${Math.round(usedBytes / 2 ** 20)} of ${Math.round(maxBytes / 2 ** 20)} MiB): recording waits ` +
      'until there is room. Raise maxmemory, or lower KEEP_TIME';
}

/** For readings of the queues without the management API. */
export function describeReadyOnly({ problem }: QueueReadings): string {
  const reason = problem === undefined ? '' : ` (${problem})`;
  return `the management API does not answer${reason}, so of each queue only the ready messages are told`;
}

// How many senders live is known only while Redis answers: their signs of life are kept nowhere else.
function* senderProblems({ counters }: SnapshotInput, isSomethingWaiting: boolean): Sentences {
  if (counters.kind === 'stale') return;
  const { livingSenders, silentSenders, areValid } = counters.reading;
  if (silentSenders > 0) yield describeSilence(silentSenders);
  if (!areValid && livingSenders === 0)
    yield 'the counters are not valid: they are made, or rebuilt from S3, when a sender runs';
  if (isSomethingWaiting && livingSenders + silentSenders === 0) yield NO_SENDER;
}

/** For senders that may have died. */
export function describeSilence(silent: number): string {
  const who = silent === 1 ? 'a sender has' : `${silent} senders have`;
  return `${who} given no sign of life for more than 5 s: killed, frozen, or cut off from Redis`;
}

/** What keeps outcomes from being recorded: counters stand still, or are of some time ago, while outcomes wait. */
function* recordingProblems(reading: CounterReading | undefined, depths: QueueDepths): Sentences {
  const senders = reading?.livingSenders ?? 0;
  const sick = senders - (reading?.livingRecorders ?? 0);
  const waiting = depths.journal ?? 0;
  const later = depths.later ?? 0;
  const troubles = new Set(reading?.recordingTroubles);
  const label = (count: number) => counted(count, 'journal message waits', 'journal messages wait');
  if (senders > 0 && (troubles.size > 0 || waiting >= MANY_JOURNAL_MESSAGES))
    yield `recording is behind: ${[label(waiting), ...troubles].join('; ')}`;
  if (sick > 0 && troubles.size === 0) {
    const who = senders === 1 ? 'the only sender cannot' : `${sick} of ${senders} senders cannot`;
    yield `${who} record outcomes, they wait in the journal queue: its log says which store it cannot reach`;
  }
  if (later > 0)
    yield `${label(later)} for a newer version of Redial, which wrote lines in them that the senders running now do not ` +
      'know: start a sender of that version';
}

function* queueProblems(input: SnapshotInput): Sentences {
  const { prefix, queues } = input;
  const unknown = unknownSmsIn(prefix, input);
  if (unknown > 0)
    yield `${counted(unknown, 'SMS waits in a queue and is', 'SMS wait in the queues and are')} not among those in ` +
      'progress yet: published by another client than the producer, published again (also by a sender that died before ' +
      'it acknowledged), or their announcement is not recorded yet';
  if (queues.kind === 'current' && areRetriesStuck(prefix, queues.reading.queues))
    yield `the queue ${queueNameOf(prefix, ROUTING_KEYS.due)} does not exist, so no SMS comes back from a retry or hold queue: ` +
      'a sender that starts declares it';
}

function* pauseProblems({ counters, nowMs }: SnapshotInput): Sentences {
  if (counters.kind === 'stale') return;
  const { pausedUntilMs } = counters.reading;
  if (pausedUntilMs === undefined || pausedUntilMs - nowMs <= LONG_PAUSE_MS) return;
  yield `the carrier takes nothing until ${new Date(pausedUntilMs).toTimeString().slice(0, 8)}: SMS wait, and no attempt is spent`;
}

/** @param run only this run, where it is given */
export function* inputConflictProblems({ runs, done }: CounterReading, run: string | undefined): Sentences {
  const open = [...runs].filter(([, counters]) => counters.hasInputConflict).map(([name]) => name);
  const names = [...open, ...done.withInputConflict]
    .filter((name) => run === undefined || name === run)
    .map((name) => `"${name}"`);
  if (names.length === 0) return;
  const more = names.length > MAX_NAMED_RUNS ? ` and ${names.length - MAX_NAMED_RUNS} more` : '';
  yield `${names.length === 1 ? 'run' : 'runs'} ${names.slice(0, MAX_NAMED_RUNS).join(', ')}${more} announced with ` +
    'different inputs: give each input a run name of its own';
}

/** @param count SMS that were met with two contents */
export function* idConflictProblems(count: number): Sentences {
  if (count > 0)
    yield `${counted(count, 'SMS was', 'SMS were')} met again with the same id and another content: ` +
      '"npx monitor --audit --json" names them';
}
