import { setTimeout as sleep } from 'node:timers/promises';
import type { ChannelModel } from 'amqplib';
import { describeError, ServerUnavailableError } from '../../errors.ts';
import { RabbitMqConnection, type RabbitMqConnectionOptions } from './connection.ts';
import { inspectUntilMissing, type QueueInspection } from './topology-check.ts';

/** By queue; undefined for one that does not exist. */
export type QueueInspections = ReadonlyMap<string, QueueInspection | undefined>;

export interface QueueInspectorOptions extends RabbitMqConnectionOptions {
  /** How long a look may take, the connect included. */
  readonly deadlineMs: number;
}

/**
 * Looks at queues over one short connection of its own.
 * @throws ServerUnavailableError
 */
export async function inspectQueues(
  options: QueueInspectorOptions,
  queueNames: readonly string[],
): Promise<QueueInspections> {
  const inspector = new QueueInspector(options);
  try {
    return await inspector.inspect(queueNames);
  } finally {
    await inspector.close();
  }
}

/** Looks at queues again and again, over one connection that is made when it is needed and kept while it lives. */
export class QueueInspector {
  readonly #options: QueueInspectorOptions;
  #connection: RabbitMqConnection | undefined;
  #model: ChannelModel | undefined;
  #isClosed = false;

  constructor(options: QueueInspectorOptions) {
    this.#options = options;
  }

  /** @throws ServerUnavailableError */
  async inspect(queueNames: readonly string[]): Promise<QueueInspections> {
    const { deadlineMs } = this.#options;
    const late = async () => {
      await sleep(deadlineMs, undefined, { ref: false });
      throw new Error(`no answer within ${deadlineMs / 1_000} s`);
    };
    try {
      return await Promise.race([this.#look(queueNames), late()]);
    } catch (error) {
      void this.#drop();
      if (error instanceof ServerUnavailableError) throw error;
      throw new ServerUnavailableError(
        `RabbitMQ could not be asked about its queues: ${describeError(error)}`,
        { isRefusal: false, cause: error },
      );
    }
  }

  async #look(queueNames: readonly string[]): Promise<QueueInspections> {
    return inspectWith(this.#model ?? (await this.#connect()), queueNames);
  }

  /** Ends a look that is under way, and lets no other begin. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#drop();
  }

  /** The next look makes a new connection. */
  async #drop(): Promise<void> {
    const connection = this.#connection;
    this.#connection = undefined;
    this.#model = undefined;
    await connection?.close();
  }

  async #connect(): Promise<ChannelModel> {
    await this.#drop();
    // A connection that is made after `close` would hold the process for ever.
    if (this.#isClosed) throw new Error('closed');
    const connection = new RabbitMqConnection(this.#options);
    this.#connection = connection;
    connection.add({
      attach: async (model) => {
        if (this.#connection === connection) this.#model = model;
      },
      detach: () => {
        if (this.#connection === connection) this.#model = undefined;
      },
    });
    await connection.open(this.#options.deadlineMs);
    if (this.#model === undefined) throw new Error('the connection ended');
    return this.#model;
  }
}

async function inspectWith(model: ChannelModel, queueNames: readonly string[]): Promise<QueueInspections> {
  const found = new Map<string, QueueInspection | undefined>();
  const waiting = [...queueNames];
  while (waiting.length > 0) {
    for (const inspection of await inspectUntilMissing(model, waiting))
      found.set(waiting.shift() ?? '', inspection);
    const missing = waiting.shift();
    if (missing !== undefined) found.set(missing, undefined);
  }
  return found;
}
