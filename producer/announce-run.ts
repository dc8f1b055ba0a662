import { encodeJournalEntry } from '../shared/domain/journal.ts';
import type { OutgoingMessage } from '../shared/domain/message.ts';
import type { RunAnnouncement } from '../shared/domain/outcome.ts';
import { ROUTING_KEYS } from '../shared/domain/topology.ts';
import type { Clock, Publisher } from '../shared/ports.ts';
import type { PublishAgain } from './publish-again.ts';

const INTERVAL_MS = 1_000;

export interface RunAnnouncerParts {
  readonly publisher: Publisher;
  readonly publishAgain: PublishAgain;
  readonly clock: Clock;
  /** Random text that tells the announcements of this process from those of another for the same run. */
  readonly announcerId: string;
  /** What is known now; undefined while there is nothing to announce. */
  readonly describe: () => Omit<RunAnnouncement, 'at'> | undefined;
}

/** Tells the journal once a second and at the end how many SMS of the run are accepted. */
export class RunAnnouncer {
  readonly #parts: RunAnnouncerParts;
  #count = 0;
  #announcedCount = 0;
  #isWaiting = false;
  #cancelTick = () => {};

  constructor(parts: RunAnnouncerParts) {
    this.#parts = parts;
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

  /** Resolves when the announcement is confirmed; at once where nothing was accepted. */
  async announceEnd(): Promise<void> {
    const announcement = this.#parts.describe();
    if (announcement !== undefined) await this.#parts.publishAgain.publish(this.#messageOf(announcement));
  }

  // One at a time, and not again where it fails: the next tick knows more.
  async #announceProgress(): Promise<void> {
    const announcement = this.#parts.describe();
    if (announcement === undefined || this.#isWaiting || announcement.accepted === this.#announcedCount)
      return;
    this.#isWaiting = true;
    try {
      await this.#parts.publisher.publish(this.#messageOf(announcement));
      this.#announcedCount = announcement.accepted;
    } catch {
    } finally {
      this.#isWaiting = false;
    }
  }

  #messageOf(announcement: Omit<RunAnnouncement, 'at'>): OutgoingMessage {
    const nowMs = this.#parts.clock.nowMs();
    const at = new Date(nowMs).toISOString();
    this.#count += 1;
    return {
      routingKey: ROUTING_KEYS.journal,
      messageId: `${announcement.run}-announcement-${this.#parts.announcerId}-${this.#count}`,
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
