/** What the pipeline asks of the outside. Adapters answer it with real servers, tests with fakes that pass the same contract. */
import type { AttemptRecord, GatewayResult } from './domain/attempt.ts';
import type { BucketCounts } from './domain/histogram.ts';
import type { SenderSettings } from './domain/journal.ts';
import type { IncomingMessage, OutgoingMessage } from './domain/message.ts';
import type { OutcomeStatus, RunAnnouncement } from './domain/outcome.ts';
import type { OverdueCount } from './domain/overdue.ts';
import type { Sms } from './domain/sms.ts';

export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

export interface Clock {
  /** Milliseconds since the epoch. */
  nowMs(): number;
  /** The microsecond within a millisecond, 0 to 999, by a watch that starts anywhere; a clock without one says 0. */
  microsecond?(): number;
  /** Calls back once after the delay; the returned function cancels. */
  after(delayMs: number, callback: () => void): () => void;
}

/** Sends SMS. An SMS that could not be sent is a result: `send` rejects only after `close`. */
export interface Gateway {
  send(sms: Sms, attempt: number): Promise<GatewayResult>;
  /** Ends the wait for answers that are still out, at the end of the shutdown timeout. */
  close(): void;
}

export interface Publisher {
  /**
   * Resolves when RabbitMQ has confirmed the message and did not return it. Waits for room in the window.
   * Rejects with PublishUnknownError (publish again with the same id), UnroutableError (again, the topology is
   * being declared anew) or UnencodableError (never again).
   */
  publish(message: OutgoingMessage): Promise<void>;
}

export interface BulkPublisher extends Publisher {
  /** As `publish`, for callers who have so many messages that a promise for each counts: undefined once confirmed. */
  publishThen(message: OutgoingMessage, onSettled: (error: Error | undefined) => void): void;
}

/** A message as handed to us once, on one channel. */
export interface Delivery {
  readonly message: IncomingMessage;
  /** False once its channel has died: the message comes again, whatever we did with this delivery is dropped. */
  isLive(): boolean;
  /** Does nothing on a dead channel. */
  acknowledge(): void;
  /** Dead-letters the message to the parked queue. Does nothing on a dead channel. */
  reject(): void;
}

/** A queue we consume, over reconnects. */
export interface DeliverySource {
  /** Hands over deliveries from now on. */
  start(onDelivery: (delivery: Delivery) => void): void;
  /** Asks for no more; what was handed over may still be acknowledged. May be started again. */
  cancel(): Promise<void>;
  /** Cancels and gives back whatever is not acknowledged. May be started again. */
  release(): Promise<void>;
}

/**
 * Remembers outside of this process which SMS were begun and have not ended: one that kills its sender leaves a mark.
 * Asked only for deliveries that came suspiciously often.
 */
export interface StartMarks {
  /** Starts of this SMS that never ended. */
  unendedStarts(smsId: string): Promise<number>;
  begin(smsId: string): Promise<void>;
  /** The SMS has come to an end here, whatever it was: all its marks are taken away. */
  end(smsId: string): Promise<void>;
}

/** Objects by key. `put` replaces the whole object; all bytes are visible at once or not at all. */
export interface ObjectStore {
  put(key: string, body: Buffer): Promise<void>;
  /** Undefined where there is no such object. */
  get(key: string): Promise<Buffer | undefined>;
  /**
   * All keys with the prefix, in key order.
   * @param after only keys behind this one; a store may still tell keys up to it
   */
  list(prefix: string, after?: string): AsyncIterable<string>;
}

/** An outcome as the counters know it. */
export interface OutcomeSummary {
  readonly smsId: string;
  readonly run: string;
  readonly status: OutcomeStatus;
  /** Digest of the content: the same id with another one is an id conflict. */
  readonly contentDigest: string;
  readonly attempts: readonly AttemptRecord[];
}

/** An outcome as it is stored in S3. */
export interface StoredOutcome extends OutcomeSummary {
  /** Milliseconds since the epoch. */
  readonly finishedAtMs: number;
}

/** What outcomes of one run add up to, without knowing which SMS they are of. */
export type OutcomeSums = { readonly run: string } & Pick<
  RunCounters,
  | 'met'
  | OutcomeStatus
  | 'attempts'
  | 'attemptsFailed'
  | 'attemptsByNumber'
  | 'processingMsSum'
  | 'processingBuckets'
  | 'latenessBuckets'
  | 'maxLatenessMs'
>;

export type CounterEntry =
  | {
      readonly kind: 'attempt';
      readonly smsId: string;
      readonly run: string;
      readonly attempt: AttemptRecord;
    }
  | {
      readonly kind: 'outcome';
      readonly outcome: OutcomeSummary;
      /** The object it will be written to if the claim is granted. */
      readonly objectId: string;
      /** The object of a dead recorder that was read and does not hold the id: take its claim over. */
      readonly insteadOfObjectId?: string;
    }
  | { readonly kind: 'accepted'; readonly announcement: RunAnnouncement }
  | { readonly kind: 'sender'; readonly sender: string; readonly settings: SenderSettings };

/** The answer to one outcome entry. */
export type ClaimAnswer =
  /** Yours: write it to that object. Also said again to the claim's owner. */
  | { readonly kind: 'claimed' }
  /** Its record is stored: nothing to write. */
  | { readonly kind: 'recorded' }
  /** The SMS has its record in another run. */
  | { readonly kind: 'known' }
  /** Claimed for another object, which is being written or was left behind by a dead recorder. */
  | {
      readonly kind: 'elsewhere';
      readonly objectId: string;
      readonly status: OutcomeStatus;
      readonly isOwnerAlive: boolean;
    };

/**
 * The counters, as the recorder uses them. What a call does to one SMS is atomic, and may be repeated without effect.
 * All calls reject with ServerUnavailableError where they may be repeated as they are, and with CallRefusedError where
 * that would only be refused again.
 */
export interface CounterStore {
  /** Counts the entries of one journal message and claims its outcomes; one answer for each outcome entry, in order. */
  record(entries: readonly CounterEntry[]): Promise<ClaimAnswer[]>;
  /** Counts the claimed outcomes of a stored object; returns the ids whose claim was not this object's any more. */
  settle(objectId: string, smsIds: readonly string[]): Promise<string[]>;
  /** Gives claims of an object back that was not and will not be stored: the SMS are in progress again. */
  abandon(objectId: string, smsIds: readonly string[]): Promise<void>;
  /** Counts outcomes that are stored in that object, whatever the counters knew of them. */
  restore(objectId: string, outcomes: readonly OutcomeSummary[]): Promise<void>;
  /**
   * Says that this sender lives and, where it is recording, that its recorder does: others leave its claims alone for
   * 15 s then.
   * @param trouble why outcomes wait at this sender, as a sentence for operators
   * @throws CountersLostError, as the calls that count do, where the counters must be rebuilt
   */
  beat(isRecording: boolean, trouble?: string): Promise<void>;
  /**
   * Moves runs on in which nothing is in progress: into the total of the runs that are done, and KEEP_TIME after their
   * last change out of the counters. Forgets the settings of senders that are gone.
   * @throws CountersLostError
   */
  tidy(): Promise<void>;
  /** Says that this sender is gone, with nothing claimed. */
  leave(): Promise<void>;
  /** KEEP_TIME in milliseconds. */
  readonly keepTimeMs: number;
  /**
   * Tries to become the one who rebuilds, and clears the counters when it is granted: for 15 s, and again from each
   * call of the rebuild. `done` where the counters are valid.
   */
  beginRebuild(): Promise<'done' | 'mine' | 'others'>;
  /** Keeps what was granted for 15 s more. @throws CountersLostError, as all calls of the rebuild, where it is not ours */
  prolongRebuild(): Promise<void>;
  /** Gives back what was granted: another may begin at once. */
  abandonRebuild(): Promise<void>;
  /**
   * `restore` while the counters are not valid; without outcomes it only prolongs. An SMS is remembered for what is
   * left of KEEP_TIME since it finished, but for an hour at least (or KEEP_TIME, where that is less). The same id
   * finished more than KEEP_TIME apart is two SMS.
   */
  rebuildOutcomes(objectId: string, outcomes: readonly StoredOutcome[]): Promise<void>;
  /** Adds to the counters of runs. The only call that must not be repeated within one try. */
  rebuildSums(sums: readonly OutcomeSums[]): Promise<void>;
  rebuildAnnouncement(announcement: RunAnnouncement): Promise<void>;
  /** Makes the rebuilt counters valid. */
  endRebuild(): Promise<void>;
}

/** The counters of one run. Times in milliseconds. */
export interface RunCounters {
  readonly announced: number;
  readonly acceptedUpTo: number;
  readonly input: string | undefined;
  /**
   * When the input was announced first, or last before the counters were made again; seconds since the epoch, undefined
   * where nobody has noted that.
   */
  readonly announcedAtSeconds: number | undefined;
  /** True where producers announced this run with different inputs. */
  readonly hasInputConflict: boolean;
  readonly met: number;
  readonly sent: number;
  readonly failed: number;
  readonly parked: number;
  /** SMS that came again in this run: they have their outcome in the run they were met in first. */
  readonly known: number;
  readonly attempts: number;
  readonly attemptsFailed: number;
  readonly attemptsByNumber: ReadonlyMap<number, number>;
  readonly processingMsSum: number;
  readonly processingBuckets: BucketCounts;
  readonly latenessBuckets: BucketCounts;
  readonly maxLatenessMs: number | undefined;
  readonly repeatedSends: number;
  readonly idConflicts: number;
}

/** What was counted of a run within some seconds. */
export type RecentCounts = Pick<
  RunCounters,
  'attempts' | 'attemptsFailed' | 'sent' | 'processingBuckets' | 'latenessBuckets'
>;

export interface CounterReading {
  /** False where Redis was emptied or replaced and the counters are not rebuilt yet. */
  readonly areValid: boolean;
  /** Runs by name, without those in `done`. */
  readonly runs: ReadonlyMap<string, RunCounters>;
  readonly done: DoneRuns;
  /** Counted within the last 10 whole seconds of Redis' clock, by run. */
  readonly lastTenSeconds: ReadonlyMap<string, RecentCounts>;
  /** Counted within the last 60 of them. */
  readonly lastMinute: ReadonlyMap<string, RecentCounts>;
  readonly livingSenders: number;
  /** Those that lived some seconds ago and did not sign off: they were killed, or are cut off from Redis. */
  readonly silentSenders: number;
  /** Those of the living whose outcomes can be recorded. */
  readonly livingRecorders: number;
  /** Why outcomes wait, as living senders tell it: one sentence for each that has something to tell. */
  readonly recordingTroubles: readonly string[];
  /** Up to 1,000 ids that were met with two contents. */
  readonly conflictingIds: readonly string[];
  readonly memory: StoreMemory;
}

/**
 * The sums of the runs that are done: nothing is in progress, and nothing has changed for a minute. A run that changes
 * again is told by itself again.
 */
export interface DoneRuns {
  /** `announced` is what was accepted. */
  readonly counters: RunCounters;
  /** Runs that are done and were forgotten, KEEP_TIME after their last change. */
  readonly forgottenCount: number;
  /** Those not forgotten yet that were announced with different inputs. */
  readonly withInputConflict: readonly string[];
}

/** With the runs in `done` that are not forgotten yet told by themselves too. */
export interface FullCounterReading extends CounterReading {
  readonly summedRuns: ReadonlyMap<string, RunCounters>;
}

/** What a store that must not forget has room for. */
export interface StoreMemory {
  readonly usedBytes: number;
  /** 0: as much as the machine has. */
  readonly maxBytes: number;
  /** What it does when it is full. Only `noeviction` keeps what is counted. */
  readonly policy: string;
}

export interface CounterReader {
  /** @param run only this run, told by itself also where it is done */
  read(run?: string): Promise<CounterReading>;
  /** Without buckets: many runs may be done. */
  readInFull(): Promise<FullCounterReading>;
}

/** What is known of a run before it is produced: what was announced for it, and how many of its SMS senders have met. */
export type KnownRun = Pick<
  RunCounters,
  'announced' | 'acceptedUpTo' | 'input' | 'announcedAtSeconds' | 'hasInputConflict' | 'met'
>;

export interface KnownRunReader {
  /** @throws ServerUnavailableError, or CountersLostError where the counters are not valid */
  read(run: string): Promise<KnownRun>;
}

export interface QueueReading {
  readonly name: string;
  /** Those that wait: nobody has them in hand, and they are not on their way to a dead-letter target. */
  readonly ready: number;
  /** Ready, unacknowledged and on their way to a dead-letter target; only ready ones where `isComplete` is false. */
  readonly messages: number;
  /** Those of them on their way to a dead-letter target, which nobody can fetch; undefined where that is not told. */
  readonly deadLettering?: number | undefined;
}

export interface QueueReadings {
  readonly queues: readonly QueueReading[];
  /** False where the management API did not answer and only ready messages of known queues are told. */
  readonly isComplete: boolean;
  /** Why the management API did not answer. */
  readonly problem?: string;
  /** How old the numbers of ready messages may be, in milliseconds: 0 where RabbitMQ itself was asked. */
  readonly readyAgeMs: number;
}

export interface QueueReader {
  read(): Promise<QueueReadings>;
}

/** Looks for overdue SMS at the head of retry queues, and leaves everything where it is. */
export interface OverdueReader {
  /**
   * What is overdue in each of the queues; one that does not exist is left out.
   * @throws ServerUnavailableError
   */
  read(retryQueueNames: readonly string[]): Promise<ReadonlyMap<string, OverdueCount>>;
}
