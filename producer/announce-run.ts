import { encodeJournalEntry } from '../shared/domain/journal.ts';
import type { OutgoingMessage } from '../shared/domain/message.ts';
import type { RunAnnouncement } from '../shared/domain/outcome.ts';
import { ROUTING_KEYS } from '../shared/domain/topology.ts';
import type { Clock, Publisher } from '../shared/ports.ts';
import type { PublishAgain } from './publish-again.ts';

const INTERVAL_MS = 1_000;
// Where the journal confirms nothing, no more than these are given to RabbitMQ.
const MAX_OPEN_INTERIM = 10;

export interface RunAnnouncerParts {
  readonly publisher: Publisher;
  readonly publishAgain: PublishAgain;
  readonly clock: Clock;
  /** Random text that tells the announcements of this process from those of another for the same run. */
  readonly announcerId: string;
  /** So many SMS accepted since the last announcement bring an interim one. */
  readonly announceEvery: number;
  /** After this long the same is announced again: Redis forgets a run that does not change for KEEP_TIME. */
  readonly announceAgainMs: number;
  /** What is known now; undefined while there is nothing to announce. */
  readonly describe: () => Description | undefined;
}

type Description = Omit<RunAnnouncement, 'at' | 'isInterim'>;

/**
 * Tells the journal how many SMS of the run are accepted: once a second, at the end, and in between after so many SMS.
 * What was accepted after the last announcement of a killed producer is published again when the run is resumed.
 */
export class RunAnnouncer {
  readonly #parts: RunAnnouncerParts;
  #messageCount = 0;
  /** Accepted as of the last announcement, and of the last one that was no interim one and is confirmed. */
  #lastAccepted: number | undefined;
  #confirmedAccepted = 0;
  #announcedAtMs: number;
  #isWaiting = false;
  #openInterimCount = 0;
  #cancelTick = () => {};

  constructor(parts: RunAnnouncerParts) {
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
    const { announceEvery } = this.#parts;
    const isDue = this.#lastAccepted === undefined || acceptedCount - this.#lastAccepted >= announceEvery;
    if (!isDue || this.#openInterimCount === MAX_OPEN_INTERIM) return;
    this.#lastAccepted = acceptedCount;
    this.#openInterimCount += 1;
    // RabbitMQ confirms many SMS at once: the announcement tells of all of them.
    queueMicrotask(
      () =>
        void this.#announceInterim().finally(() => {
          this.#openInterimCount -= 1;
        }),
    );
  }

  /** Resolves when the announcement is confirmed; at once where nothing was accepted. */
  async announceEnd(): Promise<void> {
    const description = this.#parts.describe();
    if (description !== undefined) await this.#parts.publishAgain.publish(this.#messageOf(description));
  }

  // One at a time, and not again where it fails: the next tick knows more.
  async #announceProgress(): Promise<void> {
    const { clock, announceAgainMs, publisher } = this.#parts;
    const description = this.#parts.describe();
    if (description === undefined || this.#isWaiting) return;
    const isNews = description.accepted !== this.#confirmedAccepted;
    if (!isNews && clock.nowMs() - this.#announcedAtMs < announceAgainMs) return;
    this.#isWaiting = true;
    try {
      await publisher.publish(this.#messageOf(isNews ? description : { ...description, isInterim: true }));
      this.#announcedAtMs = clock.nowMs();
      this.#confirmedAccepted = description.accepted;
    } catch {
    } finally {
      this.#isWaiting = false;
    }
  }

  // Not again where it fails, either.
  async #announceInterim(): Promise<void> {
    const description = this.#parts.describe();
    if (description === undefined) return;
    this.#lastAccepted = description.accepted;
    await this.#parts.publisher.publish(this.#messageOf({ ...description, isInterim: true })).catch(() => {});
  }

  #messageOf(announcement: Omit<RunAnnouncement, 'at'>): OutgoingMessage {
    const nowMs = this.#parts.clock.nowMs();
    const at = new Date(nowMs).toISOString();
    this.#messageCount += 1;
    return {
      routingKey: ROUTING_KEYS.journal,
      messageId: `${announcement.run}-announcement-${this.#parts.announcerId}-${this.#messageCount}`,
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
