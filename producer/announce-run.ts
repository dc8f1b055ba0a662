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
  /** So many SMS accepted since the last announcement bring the next one, before its second is over. */
  readonly everyAccepted: number;
  /** What is known now; undefined while there is nothing to announce. */
  readonly describe: () => Omit<RunAnnouncement, 'at'> | undefined;
}

/**
 * Tells the journal how many SMS of the run are accepted: once a second, at the end, and sooner while SMS are accepted
 * fast. What was accepted after the last announcement of a killed producer is published again when the run is resumed.
 */
export class RunAnnouncer {
  readonly #parts: RunAnnouncerParts;
  #count = 0;
  #announcedCount = 0;
  #triedCount = 0;
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

  /** Called for each SMS that is accepted, with how many of the run are. */
  noteAccepted(acceptedCount: number): void {
    const isDue = acceptedCount - this.#triedCount >= this.#parts.everyAccepted;
    if (!isDue || this.#isWaiting) return;
    this.#triedCount = acceptedCount;
    // RabbitMQ confirms many at once: the announcement tells of all of them.
    queueMicrotask(() => void this.#announceProgress());
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
    this.#triedCount = announcement.accepted;
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
