import { type ChannelModel, connect } from 'amqplib';

/** Sees each fresh SMS that RabbitMQ takes, beside the work queue: how often each was published. */
export class SmsTap {
  readonly #connection: ChannelModel;
  readonly #countById = new Map<string, number>();
  #totalCount = 0;
  #wake = () => {};

  private constructor(connection: ChannelModel) {
    this.#connection = connection;
  }

  /** @param exchange of a pipeline that has declared it */
  static async open(amqpUrl: string, exchange: string): Promise<SmsTap> {
    const tap = new SmsTap(await connect(amqpUrl));
    const channel = await tap.#connection.createChannel();
    const { queue } = await channel.assertQueue('', { exclusive: true, durable: false });
    await channel.bindQueue(queue, exchange, 'work');
    await channel.consume(queue, (message) => tap.#see(String(message?.properties.messageId)), {
      noAck: true,
    });
    return tap;
  }

  get distinctCount(): number {
    return this.#countById.size;
  }

  /** Copies beyond the first of each SMS. */
  get repeatedCount(): number {
    return this.#totalCount - this.#countById.size;
  }

  /** Resolves as soon as that many SMS were published, copies included. */
  async seen(count: number): Promise<void> {
    while (this.#totalCount < count) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  async close(): Promise<void> {
    await this.#connection.close();
  }

  #see(smsId: string): void {
    this.#countById.set(smsId, (this.#countById.get(smsId) ?? 0) + 1);
    this.#totalCount += 1;
    this.#wake();
  }
}
