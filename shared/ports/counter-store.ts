import type { AttemptRecord } from '../domain/outcome/attempt.ts';
import type { OutcomeStatus, RunAnnouncement } from '../domain/outcome/outcome.ts';
import type { SenderSettings } from '../domain/sender-settings.ts';
import type { RunCounters } from './counter-reader.ts';

/** An outcome as the counters know it. */
export interface OutcomeSummary {
  readonly smsId: string;
  readonly run: string;
  readonly status: OutcomeStatus;
  /** Digest of the content. The same id with another digest is an id conflict. */
  readonly contentDigest: string;
  readonly attempts: readonly AttemptRecord[];
  /** Why it failed, as it is counted. Undefined where it did not fail, or nobody says why. */
  readonly reason?: string | undefined;
}

/** Why SMS failed, as it is counted, by id. */
export type ReasonsById = ReadonlyMap<string, string>;

/** An outcome as it is stored in S3. */
export interface StoredOutcome extends OutcomeSummary {
  /** Milliseconds since the epoch. */
  readonly finishedAtMs: number;
}

/** What outcomes of one run add up to, without the ids of their SMS. */
export type OutcomeSums = { readonly run: string } & Pick<
  RunCounters,
  | 'met'
  | OutcomeStatus
  | 'attempts'
  | 'attemptsFailed'
  | 'attemptsUnknown'
  | 'failedByReason'
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
      /** The object to which the outcome will be written if the claim is granted. */
      readonly objectId: string;
      /** The object of a dead recorder that was read and does not hold the id: its claim is taken over. */
      readonly insteadOfObjectId?: string;
    }
  | { readonly kind: 'accepted'; readonly announcement: RunAnnouncement }
  | { readonly kind: 'sender'; readonly sender: string; readonly settings: SenderSettings };

/** The answer to one outcome entry. */
export type ClaimAnswer =
  /** The outcome is yours: write it to that object. The owner of a claim gets this answer again. */
  | { readonly kind: 'claimed' }
  /** The record of the outcome is stored: there is nothing to write. */
  | { readonly kind: 'recorded' }
  /** Another record of the SMS is stored, and that one counts. */
  | { readonly kind: 'recorded otherwise' }
  /** The SMS has its record in another run. */
  | { readonly kind: 'known' }
  /** The outcome is claimed for another object, which is being written, or was left behind by a dead recorder. */
  | {
      readonly kind: 'elsewhere';
      readonly objectId: string;
      readonly status: OutcomeStatus;
      readonly isOwnerAlive: boolean;
    };

/**
 * The counters, as the recorder uses them. What a call does to one SMS is atomic, and repeating the call changes nothing.
 * All calls reject with ServerUnavailableError where they may be repeated as they are, and with CallRefusedError where a
 * repeated call would be refused again.
 */
export interface CounterStore {
  /** Counts the entries of one journal message and claims its outcomes. @returns an answer for each outcome, in order */
  record(entries: readonly CounterEntry[]): Promise<ClaimAnswer[]>;
  /** Counts the claimed outcomes of a stored object. @returns the ids that were not claimed for this object any more */
  settle(objectId: string, smsIds: readonly string[], reasons?: ReasonsById): Promise<string[]>;
  /** Gives back the claims of an object that was not stored and will not be: its SMS are in progress again. */
  abandon(objectId: string, smsIds: readonly string[]): Promise<void>;
  /** Counts outcomes that are stored in the object, whatever the counters knew of them. */
  restore(objectId: string, outcomes: readonly OutcomeSummary[]): Promise<void>;
  /**
   * Says that this sender lives and, where it is recording, that its recorder lives. Then other recorders leave its claims
   * alone for 15 s.
   * @param trouble why outcomes wait at this sender, as a sentence for operators
   * @throws CountersLostError, as the calls that count do, where the counters must be rebuilt
   */
  signalLife(isRecording: boolean, trouble?: string): Promise<void>;
  /**
   * Moves on the runs in which nothing is in progress: first into the total of the runs that are done, and KEEP_TIME after
   * their last change out of the counters. Forgets the settings of senders that are gone.
   * @throws CountersLostError
   */
  tidy(): Promise<void>;
  /** Signs off: this sender is gone and holds no claims. */
  leave(): Promise<void>;
  /** KEEP_TIME in milliseconds. */
  readonly keepTimeMs: number;
  /**
   * Asks for the right to rebuild the counters. Where it is granted (`mine`), the counters are cleared. The right holds for
   * 15 s, and each call of the rebuild renews it.
   * @returns `done` where the counters are valid, `others` where another recorder rebuilds them
   */
  beginRebuild(): Promise<'done' | 'mine' | 'others'>;
  /** Renews the right for 15 s. @throws CountersLostError where the right is gone, as all calls of the rebuild do */
  prolongRebuild(): Promise<void>;
  /** Gives back the right: another recorder may begin at once. */
  abandonRebuild(): Promise<void>;
  /**
   * As `restore`, while the counters are not valid. Without outcomes it only renews the right. An SMS is remembered for what
   * is left of KEEP_TIME since it finished, but at least for an hour, or for KEEP_TIME where that is less. One id that
   * finished twice, more than KEEP_TIME apart, is two SMS.
   */
  rebuildOutcomes(objectId: string, outcomes: readonly StoredOutcome[]): Promise<void>;
  /** Adds to the counters of runs. This is the only call that must not be repeated within one rebuild. */
  rebuildSums(sums: readonly OutcomeSums[]): Promise<void>;
  rebuildAnnouncement(announcement: RunAnnouncement): Promise<void>;
  /** Makes the rebuilt counters valid. */
  endRebuild(): Promise<void>;
}
