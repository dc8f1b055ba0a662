import { encodeJournalEntry } from '../../shared/domain/outcome/journal.ts';
import type { RunAnnouncement } from '../../shared/domain/outcome/outcome.ts';
import type { OutgoingMessage } from '../../shared/domain/sms/message.ts';
import { ROUTING_KEYS } from '../../shared/domain/topology/topology.ts';
import type { Republisher } from '../../shared/pipeline/publish-until-confirmed.ts';
import type { Clock } from '../../shared/ports/clock.ts';
import type { Publisher } from '../../shared/ports/publisher.ts';

const INTERVAL_MS = 1_000;
// While RabbitMQ confirms no journal message, no more interim announcements than these are given to it.
const MAX_OPEN_INTERIM = 10;

export interface AnnouncerOptions {
  /** Random text that tells the announcements of this process from those of another for the same run. */
  readonly announcerId: string;
  /** So many SMS accepted since the last announcement bring an interim one. */
  readonly announceEvery: number;
  /** After this long the same is announced again: Redis forgets a run that does not change for KEEP_TIME. */
  readonly announceAgainMs: number;
}

/** What is accepted of a run at one moment. */
export type Standing = Omit<RunAnnouncement, 'at' | 'isInterim'>;

export interface AnnouncerParts {
  readonly publisher: Publisher;
  readonly republisher: Republisher;
  readonly clock: Clock;
  /** Undefined while there is nothing to announce. */
  readonly standingNow: () => Standing | undefined;
}

/**
 * Tells the journal how many SMS of the run are accepted: once a second, at the end, and in between after so many SMS.
 * A run that is resumed publishes again what a killed producer had not announced.
 */
export class RunAnnouncer {
  readonly #options: AnnouncerOptions;
  readonly #parts: AnnouncerParts;
  #messageCount = 0;
  /** What was accepted at the last announcement. */
  #lastAccepted: number | undefined;
  /** What was accepted at the last confirmed announcement that was no interim one. */
  #confirmedAccepted = 0;
  #announcedAtMs: number;
  #isWaiting = false;
  #openInterimCount = 0;
  #cancelTick = () => {};

  constructor(options: AnnouncerOptions, parts: AnnouncerParts) {
    this.#options = options;
    this.#parts = parts;
    this.#announcedAtMs = parts.clock.nowMs();
  }

  start(): void {
    this.#cancelTick = this.#parts.clock.after(INTERVAL_MS, () => {
      this.start();
      void this.#announceProgress();
    });
  }

  stop(): void {
    this.#cancelTick();
  }

  /** Called for each SMS that is accepted, with how many of the run are. The first one brings an announcement, too. */
  noteAccepted(acceptedCount: number): void {
    const { announceEvery } = this.#options;
    const isDue = this.#lastAccepted === undefined || acceptedCount - this.#lastAccepted >= announceEvery;
    if (!isDue || this.#openInterimCount === MAX_OPEN_INTERIM) return;
    this.#lastAccepted = acceptedCount;
    this.#openInterimCount += 1;
    // RabbitMQ confirms many SMS at once: the announcement tells of all of them.
    queueMicrotask(() => void this.#announceInterim());
  }

  /** Resolves when the announcement is confirmed; at once where nothing was accepted. */
  async announceEnd(): Promise<void> {
    const standing = this.#parts.standingNow();
    if (standing !== undefined) await this.#parts.republisher.publish(this.#messageOf(standing));
  }

  // One at a time. One that fails is not published again: the next tick knows more.
  async #announceProgress(): Promise<void> {
    const standing = this.#parts.standingNow();
    if (standing === undefined || this.#isWaiting) return;
    const isNews = standing.accepted !== this.#confirmedAccepted;
    if (!isNews && this.#parts.clock.nowMs() - this.#announcedAtMs < this.#options.announceAgainMs) return;
    this.#isWaiting = true;
    try {
      await this.#parts.publisher.publish(
        this.#messageOf(isNews ? standing : { ...standing, isInterim: true }),
      );
      this.#announcedAtMs = this.#parts.clock.nowMs();
      this.#confirmedAccepted = standing.accepted;
    } catch {
    } finally {
      this.#isWaiting = false;
    }
  }

  // One that fails is not published again, either.
  async #announceInterim(): Promise<void> {
    const standing = this.#parts.standingNow();
    if (standing !== undefined) {
      this.#lastAccepted = standing.accepted;
      await this.#parts.publisher.publish(this.#messageOf({ ...standing, isInterim: true })).catch(() => {});
    }
    this.#openInterimCount -= 1;
  }

  #messageOf(announcement: Omit<RunAnnouncement, 'at'>): OutgoingMessage {
    const nowMs = this.#parts.clock.nowMs();
    const at = new Date(nowMs).toISOString();
    this.#messageCount += 1;
    return {
      routingKey: ROUTING_KEYS.journal,
      messageId: `${announcement.run}-announcement-${this.#options.announcerId}-${this.#messageCount}`,
      type: 'journal',
      contentType: 'application/x-ndjson',
      timestampMs: nowMs,
      headers: {},
      body: Buffer.from(
        `${encodeJournalEntry({ kind: 'accepted', announcement: { ...announcement, at } })}\n`,
      ),
    };
  }
}
