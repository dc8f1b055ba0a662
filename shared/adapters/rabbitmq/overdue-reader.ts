/**
 * Looks for overdue SMS in retry queues without disturbing them. Measured on RabbitMQ 3.10.8 and 4.0.5:
 *
 * - A channel that closes gives its messages back to the front, those of one consumer in the order they came, those of
 *   several in the order of the consumers. Each `basic.get` is a consumer of its own to the queue: 3.10 gives back what
 *   several of them took in the order of a hash, 4.0 what they took behind that of all others.
 * - What was given back stands before the rest, in the order of giving back. So who takes some of it and not all
 *   would put it behind the others: a search that has begun in it goes on until it is through.
 *
 * Hence a consumer that takes one message, which is all a healthy queue loses for a millisecond, and the search goes
 * on, if it must, with further consumers, until all is given back at once. A delivery count goes up by one: 4.x
 * dead-letters to `due` after 20 where no limit is set, and a sender lets an early SMS wait again.
 */
import type { Channel, ChannelModel, Message } from 'amqplib';
import {
  countWait,
  endsOverdue,
  judgeWait,
  NOTHING_OVERDUE,
  type OverdueCount,
} from '../../domain/overdue.ts';
import { ServerUnavailableError } from '../../errors.ts';
import type { Logger, OverdueReader } from '../../ports.ts';
import { RabbitMqConnection } from './connection.ts';

export interface OverdueReaderOptions {
  readonly urls: readonly string[];
  readonly name: string;
  readonly log: Logger;
  /** For the look at all queues. */
  readonly deadlineMs: number;
  /** Messages each consumer of a search takes behind the head; their sum ends the search in one queue. */
  readonly windows?: readonly number[];
}

// The first keeps a search small where little is overdue; both together bound what RabbitMQ has to hold for us.
const WINDOWS: readonly number[] = [500, 9_499];
// Messages that are there come in milliseconds; after this long the rest has expired in between.
const QUIET_MS = 2_000;

/** Over a short connection of its own for each look. */
export class RabbitMqOverdueReader implements OverdueReader {
  readonly #options: OverdueReaderOptions;

  constructor(options: OverdueReaderOptions) {
    this.#options = options;
  }

  async read(retryQueueNames: readonly string[]): Promise<Map<string, OverdueCount>> {
    const found = new Map<string, OverdueCount>();
    const connection = new RabbitMqConnection(this.#options);
    connection.add({
      attach: async (model) => {
        for (const queueName of retryQueueNames) {
          const count = await this.#search(model, queueName);
          if (count !== undefined) found.set(queueName, count);
        }
      },
      detach: () => {},
    });
    try {
      await connection.open(this.#options.deadlineMs);
      return found;
    } catch (error) {
      if (error instanceof ServerUnavailableError) throw error;
      throw new ServerUnavailableError('RabbitMQ could not be asked what is overdue', {
        isRefusal: false,
        cause: error,
      });
    } finally {
      await connection.close();
    }
  }

  /** Undefined for a queue that does not exist. */
  async #search(model: ChannelModel, queueName: string): Promise<OverdueCount | undefined> {
    const channel = await model.createChannel();
    channel.on('error', () => {});
    try {
      const count = await this.#searchOn(channel, queueName);
      await channel.close();
      return count;
    } catch (error) {
      if ((error as { code?: unknown }).code === 404) return undefined;
      throw error;
    }
  }

  async #searchOn(channel: Channel, queueName: string): Promise<OverdueCount> {
    const { messageCount } = await channel.checkQueue(queueName);
    // Also what is said of a queue that has no leader at the moment: there a get fails, and all is looked at again.
    if (messageCount === 0 && (await channel.get(queueName)) === false) return NOTHING_OVERDUE;
    const search = new Search(Date.now(), messageCount);
    for (const [index, window] of [1, ...(this.#options.windows ?? WINDOWS)].entries()) {
      if (search.isOver) break;
      await channel.prefetch(window);
      // RabbitMQ 3.10 gives back consumer by consumer in the order of their tags.
      await meetWindow(channel, { queueName, window, consumerTag: `look-${index}` }, search);
    }
    return search.result();
  }
}

/** Lets the search meet up to `window` messages; they stay unacknowledged. */
async function meetWindow(
  channel: Channel,
  { queueName, window, consumerTag }: { queueName: string; window: number; consumerTag: string },
  search: Search,
): Promise<void> {
  const windowEnd = search.metCount + window;
  const isThrough = () => search.isOver || search.metCount === windowEnd;
  let end: (error?: Error) => void = () => {};
  const ended = new Promise<void>((resolve, reject) => {
    end = (error) => (error === undefined ? resolve() : reject(error));
  });
  // Where `consume` fails, nobody waits for this one.
  ended.catch(() => {});
  channel.once('close', () => end(new Error('the channel of a look was closed')));
  const onMessage = (message: Message | null) => {
    if (message === null) return end(new Error(`${queueName} was deleted`));
    search.meet(message);
    if (isThrough()) end();
  };
  await channel.consume(queueName, onMessage, { consumerTag });
  for (let met = -1; !isThrough() && search.metCount > met; ) {
    met = search.metCount;
    await settledWithin(QUIET_MS, ended);
  }
  if (!isThrough()) search.end();
}

async function settledWithin(deadlineMs: number, promise: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, deadlineMs);
  });
  await Promise.race([promise, deadline]).finally(() => clearTimeout(timer));
}

/** One walk from the head of a queue. */
class Search {
  readonly #nowMs: number;
  #count: OverdueCount = NOTHING_OVERDUE;
  /** Messages behind those that were met. */
  #behindCount: number;
  #metCount = 0;

  /** @param messageCount that were ready when it began */
  constructor(nowMs: number, messageCount: number) {
    this.#nowMs = nowMs;
    this.#behindCount = messageCount;
  }

  get isOver(): boolean {
    return this.#behindCount === 0;
  }

  get metCount(): number {
    return this.#metCount;
  }

  meet({ fields, properties }: Message): void {
    // What RabbitMQ hands over beyond the end only goes back.
    if (this.isOver) return;
    this.#metCount += 1;
    this.#behindCount -= 1;
    const wait = judgeWait({ headers: properties.headers ?? {} }, this.#nowMs);
    this.#count = countWait(this.#count, wait);
    if (endsOverdue(wait, fields.redelivered === true)) this.end();
  }

  end(): void {
    this.#behindCount = 0;
  }

  result(): OverdueCount {
    return { ...this.#count, isWhole: this.isOver };
  }
}
