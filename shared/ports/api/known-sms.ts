import type { OutcomeStatus } from '../../domain/outcome/outcome.ts';

/** An attempt as the counters know it: everything but why it failed. */
export interface KnownAttempt {
  readonly attempt: number;
  readonly startedAtMs: number;
  readonly tookMs: number;
  readonly lateMs: number | undefined;
  readonly result: 'sent' | 'failed' | 'unknown';
}

/** What the counters know of one SMS. */
export interface KnownSms {
  readonly run: string;
  readonly attempts: readonly KnownAttempt[];
  /** Undefined while the SMS is in progress. */
  readonly outcome:
    | {
        readonly status: OutcomeStatus;
        /** False while its record is being written. */
        readonly isStored: boolean;
        /** Where its record is, or will be: when the object is opened, and how the id of its recorder begins. */
        readonly openedAtMs: number;
        readonly recorderStart: string;
      }
    | undefined;
}

/** How far a run has come. */
export interface RunStanding {
  /** SMS that were announced as accepted. */
  readonly announced: number;
  /** SMS of which recorders have seen an attempt or an outcome. */
  readonly met: number;
}

/** What Redis knows of an SMS that somebody asks for. All calls reject with ServerUnavailableError. */
export interface KnownSmsReader {
  read(smsId: string): Promise<KnownSms | undefined>;
  /** What the API told of an SMS when it was accepted; undefined where it is not remembered. */
  toldOf(smsId: string): Promise<string | undefined>;
  standingOf(run: string): Promise<RunStanding>;
  /** The settings of living senders, each as the version of that sender wrote them. */
  senderSettings(): Promise<readonly object[]>;
}
