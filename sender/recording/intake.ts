import { decodeJournal, type JournalEntry } from '../../shared/domain/outcome/journal.ts';
import type { RunAnnouncement } from '../../shared/domain/outcome/outcome.ts';
import { announcementKey } from '../../shared/domain/outcome/outcome-object.ts';
import { OF_ANOTHER_QUEUE, TOO_LARGE_JOURNAL, UNREADABLE_JOURNAL } from '../../shared/domain/sms/parking.ts';
import type { CounterEntry } from '../../shared/ports/counter-store.ts';
import type { Delivery } from '../../shared/ports/delivery-source.ts';
import type { Claims, Page } from './claims.ts';
import type { Claim } from './outcome-batch.ts';
import type { PatientStores } from './patient-stores.ts';
import type { RecorderOptions } from './recorder-options.ts';
import { summarise } from './summarise-outcome.ts';
import type { HeldMessage, WorkInHand } from './work-in-hand.ts';

/** What one call to the counters takes at once. */
const ENTRIES_TOGETHER = 1_000;
/** Ours are 16 KiB, or one entry. One of 16 MiB could have a million lines, and each is work. */
const MAX_PAGE_BYTES = 1024 * 1024;
/** Lines for a newer version that are passed on together. */
const LATER_CHARACTERS = 8 * 1024;

/**
 * Reads journal messages and hands on what their lines ask for: attempts are counted, outcomes claimed, announcements
 * stored, lines of a newer version kept for later. A message with a line that cannot be read, or that names another
 * QUEUE_NAME, is parked after its other lines were recorded.
 */
export class Intake {
  readonly #options: RecorderOptions;
  readonly #work: WorkInHand;
  readonly #stores: PatientStores;
  readonly #claims: Claims;
  readonly #unread: HeldMessage[] = [];

  constructor(options: RecorderOptions, work: WorkInHand, stores: PatientStores, claims: Claims) {
    this.#options = options;
    this.#work = work;
    this.#stores = stores;
    this.#claims = claims;
  }

  receive(delivery: Delivery): void {
    if (this.#unread.push(this.#work.take(delivery)) === 1) this.#work.runStep(() => this.#readAll());
  }

  /** Counts what has come in since the last step in one call: after an outage thousands of small messages wait. */
  async #readAll(): Promise<void> {
    const pages: Page[] = [];
    for (let entryCount = 0; entryCount < ENTRIES_TOGETHER; ) {
      const held = this.#unread.shift();
      if (held === undefined) break;
      const page = this.#read(held);
      pages.push(page);
      entryCount += page.claims.length + page.others.length;
    }
    if (this.#unread.length > 0) this.#work.runStep(() => this.#readAll());
    await this.#claims.count(pages);
  }

  #read(held: HeldMessage): Page {
    const claims: Claim[] = [];
    const others: CounterEntry[] = [];
    const page = { held, claims, others };
    const { body } = held.delivery.message;
    if (!held.delivery.isLive()) return page;
    if (body.length > MAX_PAGE_BYTES) {
      held.parkAtEnd(TOO_LARGE_JOURNAL);
      return page;
    }
    try {
      const { entries, newerLines, unreadableCount } = decodeJournal(body);
      if (unreadableCount > 0) held.parkAtEnd(UNREADABLE_JOURNAL);
      for (const entry of entries) {
        if (!this.#isOurs(entry)) held.parkAtEnd(OF_ANOTHER_QUEUE);
        else if (entry.kind === 'outcome') {
          const summary = summarise(entry.record, this.#options.digest);
          claims.push({ summary, line: entry.line, held });
        } else {
          others.push(entry);
          if (entry.kind === 'accepted') this.#storeAnnouncement(entry.announcement, held);
        }
      }
      for (const lines of gathered(newerLines))
        this.#work.runBesideFor([held], () => this.#options.later.append(lines));
    } catch (error) {
      this.#work.breakOff(held, error);
    }
    return page;
  }

  /** Readers of S3 look at what names their QUEUE_NAME only: all else would be counted and never found. */
  #isOurs(entry: JournalEntry): boolean {
    const { queue } = this.#options;
    if (entry.kind === 'outcome') return entry.record.queue === queue;
    return entry.kind !== 'accepted' || entry.announcement.queue === queue;
  }

  #storeAnnouncement(announcement: RunAnnouncement, held: HeldMessage): void {
    // One object a second is enough to begin from; Redis hears of each announcement.
    if (announcement.isInterim === true) return;
    const key = announcementKey(announcement.run, announcement.accepted);
    const body = Buffer.from(`${JSON.stringify(announcement)}\n`);
    this.#work.runBesideFor([held], async () => {
      await this.#stores.putUntilStored('put runs/', key, body);
      // It was counted with its message. But a Redis that was emptied meanwhile could not read it in S3 yet.
      await this.#stores.untilCounted((counters) => counters.record([{ kind: 'accepted', announcement }]));
    });
  }
}

/** Lines joined to texts of some size: a promise for each line would be most of the work. */
function gathered(lines: readonly string[]): string[] {
  const texts: string[] = [];
  for (const line of lines) {
    const last = texts.pop();
    if (last === undefined) texts.push(line);
    else if (last.length < LATER_CHARACTERS) texts.push(`${last}\n${line}`);
    else texts.push(last, line);
  }
  return texts;
}
