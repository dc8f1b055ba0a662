/**
 * Looks for overdue SMS in retry and hold queues without disturbing the queues. Measured on RabbitMQ 3.10.8 and 4.0.5:
 *
 * - A channel that closes gives its messages back to the front of the queue: those of one consumer in the order they came,
 *   those of several consumers in the order of the consumers. For the queue each `basic.get` is a consumer of its own.
 *   What several gets took is given back by 3.10 in the order of a hash, and by 4.0 behind what all consumers took.
 * - Messages that were given back stand before the rest, in the order of giving back. A search that took only some of them
 *   would put these behind the others. So a search that has begun among them goes on until it is through.
 *
 * Hence a consumer that takes one message: a healthy queue misses no more than that, for a millisecond. Where the search
 * must go on, it does so with further consumers, and all messages are given back at once. Each delivery count goes up by
 * one: 4.x dead-letters to `due` after 20 where no limit is set, and a sender lets an early SMS wait again.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Channel, ChannelModel, Message } from 'amqplib';
import {
  countWait,
  endsOverdue,
  judgeWait,
  NOTHING_OVERDUE,
  type OverdueCount,
} from '../../../domain/schedule/overdue.ts';
import { ServerUnavailableError } from '../../../errors.ts';
import type { OverdueReader } from '../../../ports/overdue-reader.ts';
import { RabbitMqConnection, type RabbitMqConnectionOptions } from '../connection.ts';
import { isMissing, openChannel } from '../topology-check.ts';

export interface OverdueReaderOptions extends RabbitMqConnectionOptions {
  /** How long the look at all queues may take. */
  readonly deadlineMs: number;
  /** How many messages each further consumer of a search takes. After their sum the search in a queue ends. */
  readonly windows?: readonly number[];
}

// The first keeps a search small where little is overdue. Both together bound what RabbitMQ has to hold for a search.
const WINDOWS: readonly number[] = [500, 9_499];
// Messages that are there come within milliseconds. After this silence the rest has expired meanwhile.
const QUIET_MS = 2_000;

/** Over a short connection of its own for each look. */
export class RabbitMqOverdueReader implements OverdueReader {
  readonly #options: OverdueReaderOptions;

  constructor(options: OverdueReaderOptions) {
    this.#options = options;
  }

  async read(waitingQueueNames: readonly string[]): Promise<Map<string, OverdueCount>> {
    const found = new Map<string, OverdueCount>();
    const connection = new RabbitMqConnection(this.#options);
    connection.add({
      attach: async (model) => {
        for (const queueName of waitingQueueNames) {
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
    const channel = await openChannel(model);
    try {
      const count = await this.#searchOn(channel, queueName);
      await channel.close();
      return count;
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
  }

  async #searchOn(channel: Channel, queueName: string): Promise<OverdueCount> {
    const { messageCount } = await channel.checkQueue(queueName);
    // RabbitMQ says 0 also of a queue without a leader. There the get fails, and all queues are looked at again.
    if (messageCount === 0 && (await channel.get(queueName)) === false) return NOTHING_OVERDUE;
    const search = new Search(channel, queueName, messageCount);
    for (const [index, window] of [1, ...(this.#options.windows ?? WINDOWS)].entries()) {
      if (search.isOver) break;
      await channel.prefetch(window);
      // In the order of the tags: RabbitMQ 3.10 gives back consumer by consumer in that order.
      await search.meet(window, `look-${index}`);
    }
    return search.result;
  }
}

/** A search from the head of one queue. */
class Search {
  readonly #channel: Channel;
  readonly #queueName: string;
  readonly #nowMs = Date.now();
  #count: OverdueCount = NOTHING_OVERDUE;
  #metCount = 0;
  /** Messages behind those that were met. */
  #behindCount: number;

  /** @param messageCount messages that were ready when the search began */
  constructor(channel: Channel, queueName: string, messageCount: number) {
    this.#channel = channel;
    this.#queueName = queueName;
    this.#behindCount = messageCount;
  }

  get isOver(): boolean {
    return this.#behindCount === 0;
  }

  get result(): OverdueCount {
    return { ...this.#count, isWhole: this.isOver };
  }

  /** Meets up to `window` further messages; they stay unacknowledged. */
  async meet(window: number, consumerTag: string): Promise<void> {
    const windowEnd = this.#metCount + window;
    const isThrough = () => this.isOver || this.#metCount === windowEnd;
    let onMessage = (_: Message | null) => {};
    const ended = new Promise<void>((resolve, reject) => {
      this.#channel.once('close', () => reject(new Error('the channel of a look was closed')));
      onMessage = (message) => {
        if (message === null) return reject(new Error(`${this.#queueName} was deleted`));
        this.#judge(message);
        if (isThrough()) resolve();
      };
    });
    // Where `consume` fails, nobody waits for `ended`.
    ended.catch(() => {});
    await this.#channel.consume(this.#queueName, onMessage, { consumerTag });
    for (let met = -1; !isThrough() && this.#metCount > met; ) {
      met = this.#metCount;
      await Promise.race([ended, sleep(QUIET_MS, undefined, { ref: false })]);
    }
    if (!isThrough()) this.#behindCount = 0;
  }

  #judge({ fields, properties }: Message): void {
    // A message that RabbitMQ hands over after the end only goes back.
    if (this.isOver) return;
    this.#metCount += 1;
    const wait = judgeWait({ headers: properties.headers ?? {} }, this.#nowMs);
    this.#count = countWait(this.#count, wait);
    this.#behindCount = endsOverdue(wait, fields.redelivered === true) ? 0 : this.#behindCount - 1;
  }
}
