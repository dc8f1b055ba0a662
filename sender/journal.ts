import type { OutgoingMessage } from '../shared/domain/message.ts';
import { ROUTING_KEYS } from '../shared/domain/topology.ts';
import type { Clock, Publisher } from '../shared/ports.ts';
import { type Pause, publishUntilConfirmed } from './publish-until-confirmed.ts';

export interface JournalOptions {
  readonly publisher: Publisher;
  readonly clock: Clock;
  readonly pause: Pause;
  /** Part of the journal messages' ids. */
  readonly senderId: string;
  /** How long entries gather into one message. */
  readonly gatherMs: number;
  /** Bytes that close a message before that. */
  readonly maxBytes: number;
}

const LINE_FEED = 0x0a;

interface Page {
  readonly lines: string[];
  bytes: number;
  readonly isConfirmed: Promise<void>;
  readonly confirm: () => void;
  readonly fail: (error: unknown) => void;
}

/**
 * Gathers entries for a few milliseconds into one message to the journal queue. All entries of a message share
 * its confirm, so an entry costs no publish of its own.
 */
export class Journal {
  readonly #options: JournalOptions;
  #page: Page | undefined;
  #cancelTimer: () => void = () => {};
  #messageCount = 0;

  constructor(options: JournalOptions) {
    this.#options = options;
  }

  /** Resolves when RabbitMQ has confirmed the message that holds the entry. @param line without its line feed */
  append(line: string): Promise<void> {
    const bytes = Buffer.byteLength(line) + 1;
    if (this.#page !== undefined && this.#page.bytes + bytes > this.#options.maxBytes) this.flush();
    const page = this.#page ?? this.#openPage();
    page.lines.push(line);
    page.bytes += bytes;
    return page.isConfirmed;
  }

  /** Publishes what has gathered, now. */
  flush(): void {
    const page = this.#page;
    if (page === undefined) return;
    this.#cancelTimer();
    this.#page = undefined;
    publishUntilConfirmed(this.#options.publisher, this.#messageOf(page), this.#options.pause).then(
      page.confirm,
      page.fail,
    );
  }

  #openPage(): Page {
    let confirm = () => {};
    let fail: (error: unknown) => void = () => {};
    const isConfirmed = new Promise<void>((resolve, reject) => {
      [confirm, fail] = [resolve, reject];
    });
    // Whoever waits for the confirm hears of a failure; a page nobody waits for must not end the process.
    isConfirmed.catch(() => {});
    this.#page = { lines: [], bytes: 0, isConfirmed, confirm, fail };
    this.#cancelTimer = this.#options.clock.after(this.#options.gatherMs, () => this.flush());
    return this.#page;
  }

  #messageOf(page: Page): OutgoingMessage {
    this.#messageCount += 1;
    return {
      routingKey: ROUTING_KEYS.journal,
      messageId: `${this.#options.senderId}-${this.#messageCount}`,
      type: 'journal',
      contentType: 'application/x-ndjson',
      timestampMs: this.#options.clock.nowMs(),
      headers: {},
      body: encodePage(page),
    };
  }
}

// Line by line: joined to one text, a page with a single emoji takes two bytes for each of its characters.
function encodePage({ lines, bytes }: Page): Buffer {
  const body = Buffer.allocUnsafe(bytes);
  let end = 0;
  for (const line of lines) {
    end += body.write(line, end);
    body[end] = LINE_FEED;
    end += 1;
  }
  return body;
}
