import type { OutgoingMessage } from '../shared/domain/message.ts';
import { MessageTooLargeError, RedialError } from '../shared/errors.ts';
import type { Clock, Publisher } from '../shared/ports.ts';
import { type Pause, publishUntilConfirmed } from './publish-until-confirmed.ts';

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

interface Lines {
  readonly lines: string[];
  bytes: number;
}

interface Page extends Lines {
  readonly isConfirmed: Promise<void>;
  readonly confirm: () => void;
  readonly fail: (error: unknown) => void;
}

/** Lines that RabbitMQ takes in no message, however small; those that shared their message are confirmed. */
class LinesTooLargeError extends RedialError {
  readonly lines: readonly string[];

  constructor(lines: readonly string[], cause: unknown) {
    super('LINES_TOO_LARGE', 'a journal entry is larger than RabbitMQ takes', { cause });
    this.lines = lines;
  }
}

/** True where the error of a page says nothing against this line of it. */
export function isOfOtherLine(error: unknown, line: string | undefined): boolean {
  return error instanceof LinesTooLargeError && line !== undefined && !error.lines.includes(line);
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
  #isDraining = false;

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
    if (this.#isDraining) this.flush();
    return page.isConfirmed;
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
    this.#publish(page).then(page.confirm, page.fail);
  }

  /** Where RabbitMQ finds the message too large, each half goes by itself. */
  async #publish(page: Lines): Promise<void> {
    const { publisher, pause } = this.#options;
    try {
      await publishUntilConfirmed(publisher, this.#messageOf(page), pause);
    } catch (error) {
      if (!(error instanceof MessageTooLargeError)) throw error;
      if (page.lines.length === 1) throw new LinesTooLargeError(page.lines, error);
      await allOf(halvesOf(page).map((half) => this.#publish(half)));
    }
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

  #messageOf(page: Lines): OutgoingMessage {
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

// Line by line: joined to one text, a page with a single emoji takes two bytes for each of its characters.
function encodePage({ lines, bytes }: Lines): Buffer {
  const body = Buffer.allocUnsafe(bytes);
  let end = 0;
  for (const line of lines) {
    end += body.write(line, end);
    body[end] = LINE_FEED;
    end += 1;
  }
  return body;
}

function halvesOf({ lines }: Lines): Lines[] {
  const middle = Math.ceil(lines.length / 2);
  return [lines.slice(0, middle), lines.slice(middle)].map((half) => ({
    lines: half,
    bytes: half.reduce((sum, line) => sum + Buffer.byteLength(line) + 1, 0),
  }));
}

/** Waits for both; lines that are too large are told together. */
async function allOf(halves: readonly Promise<void>[]): Promise<void> {
  const results = await Promise.allSettled(halves);
  const errors = results.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []));
  const other = errors.find((error) => !(error instanceof LinesTooLargeError));
  if (other !== undefined) throw other;
  const tooLarge = errors.flatMap((error: LinesTooLargeError) => error.lines);
  if (tooLarge.length > 0) throw new LinesTooLargeError(tooLarge, errors[0]);
}
