import type { BucketCounts } from '../domain/histogram.ts';
import type { SeenSender } from '../domain/sender-report.ts';

/** The counters of one run. Times in milliseconds. */
export interface RunCounters {
  readonly announced: number;
  readonly acceptedUpTo: number;
  readonly input: string | undefined;
  /**
   * When the input was first announced, in seconds since the epoch. After a rebuild of the counters: when it was last
   * announced before. Undefined where that was not noted.
   */
  readonly announcedAtSeconds: number | undefined;
  /** True where producers announced this run with different inputs. */
  readonly hasInputConflict: boolean;
  readonly met: number;
  readonly sent: number;
  readonly failed: number;
  readonly parked: number;
  /** SMS that came again in this run. Their outcome belongs to the run in which they were met first. */
  readonly known: number;
  /** How many SMS failed for each reason that was noted, see domain/outcome/failure-reason.ts. */
  readonly failedByReason: ReadonlyMap<string, number>;
  readonly attempts: number;
  readonly attemptsFailed: number;
  /** Attempts without a clear answer; they are among those that failed. */
  readonly attemptsUnknown: number;
  readonly attemptsByNumber: ReadonlyMap<number, number>;
  readonly processingMsSum: number;
  readonly processingBuckets: BucketCounts;
  readonly latenessBuckets: BucketCounts;
  readonly maxLatenessMs: number | undefined;
  readonly repeatedSends: number;
  readonly idConflicts: number;
}

/** What was counted for a run within some seconds. */
export type RecentCounts = Pick<
  RunCounters,
  'attempts' | 'attemptsFailed' | 'sent' | 'processingBuckets' | 'latenessBuckets'
>;

export interface CounterReading {
  /** False where Redis was emptied or replaced, and the counters are not rebuilt yet. */
  readonly areValid: boolean;
  /** Runs by name, without the runs that are summed up in `done`. */
  readonly runs: ReadonlyMap<string, RunCounters>;
  readonly done: DoneRuns;
  /** What was counted within the last 10 whole seconds of the clock of Redis, by run. */
  readonly lastTenSeconds: ReadonlyMap<string, RecentCounts>;
  /** What was counted within the last 60 whole seconds, by run. */
  readonly lastMinute: ReadonlyMap<string, RecentCounts>;
  readonly livingSenders: number;
  /** Senders that lived some seconds ago and did not sign off: they were killed, or are cut off from Redis. */
  readonly silentSenders: number;
  /** Both of these, with what each told of itself. */
  readonly seenSenders: readonly SeenSender[];
  /** Living senders whose recorder can record outcomes. */
  readonly livingRecorders: number;
  /** Why outcomes wait: a sentence from each living sender that has a reason to tell. */
  readonly recordingTroubles: readonly string[];
  /** Ids that were met with two different contents, at most 1,000. */
  readonly conflictingIds: readonly string[];
  /** How often the gateway has throttled a sender, over all senders. */
  readonly throttled: number;
  /** When the gateway takes SMS again, milliseconds since the epoch. Undefined where it is not paused. */
  readonly pausedUntilMs: number | undefined;
  readonly memory: StoreMemory;
}

/**
 * The sums of the runs that are done: nothing of them is in progress, and nothing has changed for a minute. A run that changes
 * again leaves the sums and is told by itself.
 */
export interface DoneRuns {
  /** `announced` is the number of SMS accepted. */
  readonly counters: RunCounters;
  /** How many of the runs were forgotten, KEEP_TIME after their last change. */
  readonly forgottenCount: number;
  /** Runs that are not forgotten yet and were announced with different inputs. */
  readonly withInputConflict: readonly string[];
}

/** A reading that also tells each run in `done` by itself, as long as it is not forgotten. */
export interface FullCounterReading extends CounterReading {
  readonly summedRuns: ReadonlyMap<string, RunCounters>;
}

/** How much memory the store has. It must not forget what was counted. */
export interface StoreMemory {
  readonly usedBytes: number;
  /** 0: no limit but that of the machine. */
  readonly maxBytes: number;
  /** What the store does when it is full. Only `noeviction` keeps what was counted. */
  readonly policy: string;
}

export interface CounterReader {
  /** @param run reads only this run, and tells it by itself even where it is done */
  read(run?: string): Promise<CounterReading>;
  /** Tells every run, without buckets: there may be many. */
  readInFull(): Promise<FullCounterReading>;
}
