import type { OutgoingMessage } from '../../shared/domain/sms/message.ts';
import { MessageTooLargeError } from '../../shared/errors.ts';
import { type Pause, publishUntilConfirmed } from '../../shared/pipeline/publish-until-confirmed.ts';
import type { Clock } from '../../shared/ports/clock.ts';
import type { Publisher } from '../../shared/ports/publisher.ts';

export interface JournalOptions {
  readonly publisher: Publisher;
  readonly clock: Clock;
  readonly pause: Pause;
  /** Part of the journal messages' ids. */
  readonly senderId: string;
  /** Where its messages go. */
  readonly routingKey: string;
  /** How long entries gather into one message. */
  readonly gatherMs: number;
  /** Bytes that close a message before that. */
  readonly maxBytes: number;
}

const LINE_FEED = 0x0a;

/** Called once for a line: without an error where RabbitMQ has confirmed the message that holds the line. Never throws. */
type OnSettled = (error: unknown) => void;

/** Lines on their way into one message. */
interface Page {
  readonly lines: string[];
  /** One for each line. */
  readonly onSettled: OnSettled[];
  bytes: number;
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
  #unconfirmedCount = 0;
  #isDraining = false;

  constructor(options: JournalOptions) {
    this.#options = options;
  }

  /** Lines that RabbitMQ has not confirmed yet. */
  get unconfirmedCount(): number {
    return this.#unconfirmedCount;
  }

  /** Resolves when RabbitMQ has confirmed the message that holds the entry. @param line without its line feed */
  append(line: string): Promise<void> {
    const confirmed = new Promise<void>((resolve, reject) => {
      this.appendThen(line, (error) => (error === undefined ? resolve() : reject(error)));
    });
    // A caller that waits hears of a failure. A line that nobody waits for must not end the process.
    confirmed.catch(() => {});
    return confirmed;
  }

  // Without a promise for each line: senders append ten thousand lines a second.
  appendThen(line: string, onSettled: OnSettled): void {
    const bytes = Buffer.byteLength(line) + 1;
    if (this.#page !== undefined && this.#page.bytes + bytes > this.#options.maxBytes) this.flush();
    const page = this.#page ?? this.#openPage();
    page.lines.push(line);
    page.onSettled.push(onSettled);
    page.bytes += bytes;
    this.#unconfirmedCount += 1;
    if (this.#isDraining) this.flush();
  }

  /** From now on nothing gathers. */
  startDraining(): void {
    this.#isDraining = true;
    this.flush();
  }

  /** Publishes what has gathered, now. */
  flush(): void {
    const page = this.#page;
    if (page === undefined) return;
    this.#cancelTimer();
    this.#page = undefined;
    void this.#publish(page);
  }

  /** Where RabbitMQ finds the message too large, each half goes by itself: no line harms the lines beside it. */
  async #publish(page: Page): Promise<void> {
    const { publisher, pause } = this.#options;
    let failure: unknown;
    try {
      await publishUntilConfirmed(publisher, this.#messageOf(page), pause);
    } catch (error) {
      if (error instanceof MessageTooLargeError && page.lines.length > 1) {
        await Promise.all(halvesOf(page).map((half) => this.#publish(half)));
        return;
      }
      failure = error;
    }
    this.#unconfirmedCount -= page.lines.length;
    for (const onSettled of page.onSettled) onSettled(failure);
  }

  #openPage(): Page {
    this.#page = { lines: [], onSettled: [], bytes: 0 };
    this.#cancelTimer = this.#options.clock.after(this.#options.gatherMs, () => this.flush());
    return this.#page;
  }

  #messageOf(page: Page): OutgoingMessage {
    this.#messageCount += 1;
    return {
      routingKey: this.#options.routingKey,
      messageId: `${this.#options.senderId}-${this.#messageCount}`,
      type: 'journal',
      contentType: 'application/x-ndjson',
      timestampMs: this.#options.clock.nowMs(),
      headers: {},
      body: encodePage(page),
    };
  }
}

// Line by line: in a joined text, a single emoji makes every character of the page take two bytes.
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

function halvesOf({ lines, onSettled }: Page): Page[] {
  const middle = Math.ceil(lines.length / 2);
  return [[0, middle] as const, [middle, lines.length] as const].map(([start, end]) => {
    const half = lines.slice(start, end);
    const bytes = half.reduce((sum, line) => sum + Buffer.byteLength(line) + 1, 0);
    return { lines: half, onSettled: onSettled.slice(start, end), bytes };
  });
}
