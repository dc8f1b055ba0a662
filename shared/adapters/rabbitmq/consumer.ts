/**
 * Consumes one queue on a channel of its own, over reconnects. A delivery keeps the channel it came on and can be
 * settled there only: delivery tags are numbers per channel, and on the next channel the same number is another
 * message. Once its channel has died a delivery does nothing any more; RabbitMQ hands the message out again.
 */
import type { Channel, ChannelModel, ConsumeMessage, Message } from 'amqplib';
import type { IncomingMessage } from '../../domain/message.ts';
import type { Delivery, DeliverySource } from '../../ports.ts';
import { Acknowledgements } from './acknowledgements.ts';
import type { ConnectionRole } from './connection.ts';

export interface RabbitMqConsumerOptions {
  readonly queueName: string;
  /** Deliveries that may be unacknowledged at once. */
  readonly prefetchCount: number;
}

/** A channel and whether it lives; shared by all deliveries that came on it. */
interface ChannelLife {
  readonly channel: Channel;
  readonly acknowledgements: Acknowledgements;
  isAlive: boolean;
  consumerTag: string | undefined;
}

export class RabbitMqConsumer implements DeliverySource, ConnectionRole {
  readonly #options: RabbitMqConsumerOptions;
  #connection: ChannelModel | undefined;
  #die: (cause: unknown) => void = () => {};
  #life: ChannelLife | undefined;
  #onDelivery: ((delivery: Delivery) => void) | undefined;
  // Start, cancel and release each take several round trips: they follow one another, never overlap.
  #step: Promise<void> = Promise.resolve();

  constructor(options: RabbitMqConsumerOptions) {
    this.#options = options;
  }

  start(onDelivery: (delivery: Delivery) => void): void {
    this.#onDelivery = onDelivery;
    this.#then(() => this.#consume()).catch((error: unknown) => this.#die(error));
  }

  cancel(): Promise<void> {
    this.#onDelivery = undefined;
    return this.#then(async () => {
      const life = this.#life;
      if (life?.consumerTag === undefined) return;
      const { consumerTag } = life;
      life.consumerTag = undefined;
      await ignoringDeadChannel(life.channel.cancel(consumerTag));
    });
  }

  async release(): Promise<void> {
    await this.cancel();
    await this.#then(async () => {
      const life = this.#life;
      if (life === undefined) return;
      flush(life);
      endLife(life);
      this.#life = undefined;
      await ignoringDeadChannel(life.channel.close());
    });
  }

  async attach(connection: ChannelModel, die: (cause: unknown) => void): Promise<void> {
    this.#connection = connection;
    this.#die = die;
    await this.#then(() => this.#consume());
  }

  detach(): void {
    if (this.#life !== undefined) endLife(this.#life);
    this.#connection = undefined;
    this.#life = undefined;
  }

  #then(step: () => Promise<void>): Promise<void> {
    this.#step = this.#step.catch(() => {}).then(step);
    return this.#step;
  }

  async #consume(): Promise<void> {
    if (this.#connection === undefined || this.#onDelivery === undefined) return;
    this.#life ??= await this.#openChannel(this.#connection);
    const life = this.#life;
    if (life.consumerTag !== undefined) return;
    const { consumerTag } = await life.channel.consume(this.#options.queueName, (message) =>
      this.#receive(life, message),
    );
    life.consumerTag = consumerTag;
  }

  async #openChannel(connection: ChannelModel): Promise<ChannelLife> {
    const channel = await connection.createChannel();
    const life: ChannelLife = {
      channel,
      acknowledgements: new Acknowledgements(),
      isAlive: true,
      consumerTag: undefined,
    };
    const die = (cause: unknown) => {
      if (!life.isAlive) return;
      endLife(life);
      this.#die(cause);
    };
    channel.on('error', die);
    channel.on('close', () => die(new Error('the consuming channel was closed')));
    await channel.prefetch(this.#options.prefetchCount);
    return life;
  }

  #receive(life: ChannelLife, message: ConsumeMessage | null): void {
    if (!life.isAlive) return;
    if (message === null) {
      this.#die(
        new Error(`RabbitMQ cancelled the consumer of ${this.#options.queueName}: was the queue deleted?`),
      );
      return;
    }
    // Deliveries on their way while the consumer is being cancelled stay unacknowledged and go back with the channel.
    this.#onDelivery?.(new RabbitMqDelivery(life, message));
  }
}

class RabbitMqDelivery implements Delivery {
  readonly message: IncomingMessage;
  readonly #life: ChannelLife;
  readonly #deliveryTag: number;

  constructor(life: ChannelLife, { content, fields, properties }: ConsumeMessage) {
    this.#life = life;
    this.#deliveryTag = fields.deliveryTag;
    this.message = {
      body: content,
      headers: properties.headers ?? {},
      messageId: properties.messageId,
      contentType: properties.contentType,
      type: properties.type,
      timestamp: properties.timestamp,
    };
  }

  isLive(): boolean {
    return this.#life.isAlive;
  }

  acknowledge(): void {
    const life = this.#life;
    if (!life.isAlive) return;
    // Acknowledgements of one turn of the event loop go out together.
    if (life.acknowledgements.add(this.#deliveryTag)) setImmediate(() => flush(life));
  }

  reject(): void {
    if (!this.#life.isAlive) return;
    this.#life.acknowledgements.skip(this.#deliveryTag);
    this.#life.channel.nack(messageOf(this.#deliveryTag), false, false);
  }
}

function flush(life: ChannelLife): void {
  if (!life.isAlive) return;
  for (const { deliveryTag, isMultiple } of life.acknowledgements.take()) {
    life.channel.ack(messageOf(deliveryTag), isMultiple);
  }
}

function endLife(life: ChannelLife): void {
  life.isAlive = false;
}

// amqplib takes whole messages but reads nothing of them but the tag.
function messageOf(deliveryTag: number): Message {
  return { fields: { deliveryTag } } as unknown as Message;
}

async function ignoringDeadChannel(step: Promise<unknown>): Promise<void> {
  try {
    await step;
  } catch {
    // The channel died meanwhile: what was to be ended has ended.
  }
}
