import { type ChannelModel, type ConfirmChannel, connect } from 'amqplib';
import { publishFrames } from './amqp-encoding.ts';
import type { EncodedMessage } from './foreign-messages.ts';

type Publish = Pick<EncodedMessage, 'properties' | 'body'> & Partial<Pick<EncodedMessage, 'id'>>;

/** What writes frames inside of an amqplib connection (2.3.1). */
interface FrameWriter {
  frameMax: number;
  sendBytes(bytes: Buffer): void;
  sendMessage(
    channel: number,
    method: unknown,
    place: { readonly exchange: string; readonly routingKey: string },
    properties: unknown,
    values: unknown,
    body: Buffer,
  ): boolean;
}

interface Attached {
  readonly connection: ChannelModel;
  readonly channel: ConfirmChannel;
  /** Resolves when connection or channel has ended. */
  readonly ended: Promise<'ended'>;
}

/** A client that writes what it is given byte by byte, and comes back where RabbitMQ closes its connection for that. */
export class RawClient {
  readonly #url: string;
  readonly #maxUnconfirmed: number;
  /** Messages that RabbitMQ has confirmed. */
  confirmedCount = 0;
  /** The ids of those that have one. */
  readonly confirmedIds: string[] = [];
  /** Connections and channels that RabbitMQ has closed. */
  refusedCount = 0;
  #attached: Attached | undefined;

  /** @param maxUnconfirmed messages that are unconfirmed at once; so many are unknown where the connection ends */
  constructor(url: string, maxUnconfirmed: number) {
    this.#url = url;
    this.#maxUnconfirmed = maxUnconfirmed;
  }

  /** Publishes all; resolves when each is confirmed, or was lost with its connection. */
  async publish(exchange: string, routingKey: string, messages: readonly Publish[]): Promise<void> {
    for (let start = 0; start < messages.length; start += this.#maxUnconfirmed)
      await this.#publishTogether(exchange, routingKey, messages.slice(start, start + this.#maxUnconfirmed));
  }

  async close(): Promise<void> {
    await this.#attached?.connection.close().catch(() => {});
  }

  async #publishTogether(exchange: string, routingKey: string, messages: readonly Publish[]): Promise<void> {
    this.#attached ??= await this.#attach();
    const { connection, channel, ended } = this.#attached;
    const writer = connection.connection as unknown as FrameWriter;
    const confirmed = messages.map(
      ({ properties, body, id }) =>
        new Promise<void>((resolve) => {
          writer.sendMessage = (channelNumber, _method, place, _properties, _values, content) => {
            writer.sendBytes(publishFrames(channelNumber, place, properties, content, writer.frameMax));
            return true;
          };
          try {
            channel.publish(exchange, routingKey, body, {}, (error: unknown) => {
              if (error === null || error === undefined) this.#noteConfirm(id);
              resolve();
            });
          } catch {
            // The channel was closed meanwhile: the end is noticed below.
            resolve();
          }
        }),
    );
    const isEnded = await Promise.race([ended, Promise.all(confirmed).then(() => 'confirmed' as const)]);
    // An end that comes with the last confirm is noticed by the next publish.
    if (isEnded !== 'ended') return;
    this.refusedCount += 1;
    this.#attached = undefined;
    await connection.close().catch(() => {});
  }

  #noteConfirm(id: string | undefined): void {
    this.confirmedCount += 1;
    if (id !== undefined) this.confirmedIds.push(id);
  }

  async #attach(): Promise<Attached> {
    const connection = await connect(this.#url);
    const channel = await connection.createConfirmChannel();
    const ended = new Promise<'ended'>((resolve) => {
      for (const each of [connection, channel])
        for (const event of ['error', 'close']) each.on(event, () => resolve('ended'));
    });
    return { connection, channel, ended };
  }
}
