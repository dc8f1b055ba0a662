/**
 * What the monitor knows at one moment: one typed object, which the terminal, the JSON and every later view render. A
 * number is null where it is not known: nothing was counted yet, or the server that knows it has not answered yet. The
 * order of the keys is that of the JSON.
 */

import type { SeenSender } from './sender-report.ts';

/** `rebuilding`: the counters were lost, or not made yet. `stale`: a server does not answer, and `problems` says which. */
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
  readonly retryLatenessSeconds: Omit<Percentiles, 'p95'> & { readonly max: number | null };
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
  /** Attempts without a clear answer, among those that failed. */
  readonly unknown: number | null;
  /** How many SMS failed for each reason, the most frequent first. Adds up to `failed`. */
  readonly failedByReason: Readonly<Record<string, number>>;
  /** SMS that failed because their time was over, and because somebody cancelled them. */
  readonly expired: number | null;
  readonly cancelled: number | null;
  /** Messages in the hold queues. */
  readonly held: number | null;
  /** How often the gateway has throttled a sender. Of the whole pipeline, as `held` and `gateway`. */
  readonly throttled: number | null;
  /** Null while Redis does not answer. */
  readonly gateway: GatewayState | null;
  /** Senders that gave a sign of life within the last 15 s. Of the whole pipeline; null while nobody has told us yet. */
  readonly seenSenders: readonly SeenSender[] | null;
  /** Sentences for the operator: what is wrong and what to do. */
  readonly problems: readonly string[];
  readonly run?: string;
}

/** Whether the gateway takes SMS. */
export interface GatewayState {
  readonly state: 'open' | 'paused';
  /** When it takes SMS again, ISO 8601. Null while it does. */
  readonly until: string | null;
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

export interface Percentiles {
  readonly p50: number | null;
  readonly p95: number | null;
  readonly p99: number | null;
}

export interface RetryDepth {
  /** The failed attempt after which SMS wait here. */
  readonly attempt: number;
  readonly delaySeconds: number;
  readonly messages: number;
}

export interface HoldDepth {
  readonly delaySeconds: number;
  readonly messages: number;
}

/** Messages in each queue of a pipeline; null where nobody has told us yet. Key order is that of the JSON. */
export interface QueueDepths {
  /** Of all its shards. */
  readonly work: number | null;
  readonly due: number | null;
  readonly journal: number | null;
  readonly parked: number | null;
  readonly retry: readonly RetryDepth[];
  /** Messages that RabbitMQ itself took out of a queue; a sender parks each with a record. */
  readonly deadLetters: number | null;
  /** Journal messages with lines that only a newer version can record. */
  readonly later: number | null;
  /** Fresh SMS that go before those in `work`, and after them. */
  readonly high: number | null;
  readonly low: number | null;
  /** SMS that wait for a moment. */
  readonly hold: readonly HoldDepth[];
}
