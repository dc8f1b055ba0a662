/**
 * The queue of a redrive, see domain/topology/redrive-queue.ts. It is consumed only while a batch is sent: RabbitMQ closes
 * the channel of a consumer that holds a delivery for half an hour.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Channel, ChannelModel, ConfirmChannel, Message } from 'amqplib';
import type { OutgoingMessage } from '../../../domain/sms/message.ts';
import { redriveRoutingKey } from '../../../domain/topology/redrive-queue.ts';
import { internalExchangeOf, queueNameOf } from '../../../domain/topology/topology.ts';
import { describeError, ServerUnavailableError } from '../../../errors.ts';
import type { ConnectionRole } from '../connection.ts';
import { codeOf, openChannel } from '../topology-check.ts';

/** A message that stands in the queue. */
export interface StagedMessage {
  readonly messageId: string;
  readonly deliveryTag: number;
  /** Of a ledger only. */
  readonly body: Buffer | undefined;
}

/** Everything in the queue, which nobody else gets until the hand is closed. All its methods throw ServerUnavailableError. */
export interface RedriveHand {
  readonly messages: readonly StagedMessage[];
  /** Adds messages to the queue and to the hand. Resolves when RabbitMQ has confirmed them and handed them out. */
  stage(messages: readonly OutgoingMessage[]): Promise<void>;
  /** Lets RabbitMQ move the message to the senders. */
  release(message: StagedMessage): void;
  /** Deletes the message. */
  drop(message: StagedMessage): void;
  /** What is neither released nor dropped goes back to its place. */
  close(): Promise<void>;
}

const RESOURCE_LOCKED = 405;
/** More than a batch and two ledgers. */
const PREFETCH = 60_000;
// RabbitMQ gives back what a consumer held a moment after its channel is closed.
const GIVEN_BACK_WITHIN_MS = 5_000;
const UNLOCKED_WITHIN_MS = 2_000;
const HANDED_OUT_WITHIN_MS = 30_000;

export class RedriveQueue implements ConnectionRole {
  readonly #queue: string;
  readonly #lock: string;
  readonly #exchange: string;
  readonly #routingKey: string;
  #model: ChannelModel | undefined;

  /** @param prefix QUEUE_NAME */
  constructor(prefix: string, run: string) {
    this.#routingKey = redriveRoutingKey(run);
    this.#queue = queueNameOf(prefix, this.#routingKey);
    this.#lock = `${this.#queue}.lock`;
    this.#exchange = internalExchangeOf(prefix);
  }

  async attach(model: ChannelModel): Promise<void> {
    // What was locked and held went with the connection before: the process must begin anew.
    this.#model ??= model;
  }

  detach(): void {}

  /** Keeps other redrives of this run out until the connection ends. @returns false where another one has the lock */
  async lock(): Promise<boolean> {
    return this.#asking(async (model) => {
      for (const giveUpAtMs = Date.now() + UNLOCKED_WITHIN_MS; ; await sleep(100)) {
        try {
          const channel = await openChannel(model);
          await channel.assertQueue(this.#lock, {
            ...{ exclusive: true, durable: false, arguments: { 'x-queue-type': 'classic' } },
          });
          return true;
        } catch (error) {
          if (codeOf(error) !== RESOURCE_LOCKED) throw error;
          // RabbitMQ notices a moment later that a process was killed.
          if (Date.now() > giveUpAtMs) return false;
        }
      }
    });
  }

  /** @param isExpected true where the queue holds something, or will in a moment */
  take(isExpected: boolean): Promise<RedriveHand> {
    return this.#asking(async (model) => {
      const channel = await model.createConfirmChannel();
      // The event tells what the calls tell, and would end the process.
      channel.on('error', () => {});
      const hand = new Hand(channel, this.#exchange, this.#routingKey);
      const giveUpAtMs = Date.now() + GIVEN_BACK_WITHIN_MS;
      let { messageCount } = await channel.checkQueue(this.#queue);
      while (messageCount === 0 && isExpected && Date.now() < giveUpAtMs) {
        await sleep(20);
        ({ messageCount } = await channel.checkQueue(this.#queue));
      }
      await channel.prefetch(PREFETCH);
      await channel.consume(this.#queue, (message) => hand.met(message));
      await hand.untilMet(messageCount);
      return hand;
    });
  }

  /** Deletes the queue with all that is in it. */
  async remove(): Promise<void> {
    await this.#asking(async (model) => {
      const channel: Channel = await openChannel(model);
      await channel.deleteQueue(this.#queue);
      await channel.close();
    });
  }

  async #asking<Value>(call: (model: ChannelModel) => Promise<Value>): Promise<Value> {
    try {
      if (this.#model === undefined) throw new Error('there is no connection');
      return await call(this.#model);
    } catch (error) {
      throw unavailable(error);
    }
  }
}

class Hand implements RedriveHand {
  readonly messages: StagedMessage[] = [];
  readonly #channel: ConfirmChannel;
  readonly #exchange: string;
  readonly #routingKey: string;
  #isClosed = false;

  constructor(channel: ConfirmChannel, exchange: string, routingKey: string) {
    this.#channel = channel;
    this.#exchange = exchange;
    this.#routingKey = routingKey;
    channel.once('close', () => {
      this.#isClosed = true;
    });
  }

  met(message: Message | null): void {
    if (message === null) return;
    const { content, fields, properties } = message;
    const body = properties.type === 'ledger' ? content : undefined;
    this.messages.push({
      ...{ messageId: String(properties.messageId), deliveryTag: fields.deliveryTag, body },
    });
  }

  /** Resolves once so many messages were handed out. */
  async untilMet(count: number): Promise<void> {
    const giveUpAtMs = Date.now() + HANDED_OUT_WITHIN_MS;
    while (this.messages.length < count) {
      if (this.#isClosed) throw new Error('the channel was closed');
      if (Date.now() > giveUpAtMs) throw new Error('RabbitMQ did not hand out what was staged');
      await sleep(5);
    }
  }

  async stage(messages: readonly OutgoingMessage[]): Promise<void> {
    const count = this.messages.length + messages.length;
    try {
      for (const { messageId, type, contentType, contentEncoding, headers, body } of messages) {
        this.#channel.publish(this.#exchange, this.#routingKey, body, {
          ...{ persistent: true, mandatory: true, appId: 'redial' },
          ...{ messageId, type, contentType, headers },
          ...(contentEncoding === undefined ? {} : { contentEncoding }),
        });
      }
      await this.#channel.waitForConfirms();
      await this.untilMet(count);
    } catch (error) {
      throw unavailable(error);
    }
  }

  release(message: StagedMessage): void {
    this.#settle(() => this.#channel.reject(deliveryOf(message), false));
  }

  drop(message: StagedMessage): void {
    this.#settle(() => this.#channel.ack(deliveryOf(message)));
  }

  async close(): Promise<void> {
    await this.#channel.close().catch((error: unknown) => Promise.reject(unavailable(error)));
  }

  #settle(call: () => void): void {
    try {
      call();
    } catch (error) {
      throw unavailable(error);
    }
  }
}

/** All that amqplib reads of a message to settle it. */
function deliveryOf({ deliveryTag }: StagedMessage): Message {
  return { fields: { deliveryTag } } as Message;
}

function unavailable(error: unknown): ServerUnavailableError {
  if (error instanceof ServerUnavailableError) return error;
  const said = `RabbitMQ did not answer the redrive: ${describeError(error)}. The same command goes on`;
  return new ServerUnavailableError(said, { isRefusal: false, cause: error });
}
