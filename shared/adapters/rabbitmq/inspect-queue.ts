import type { ChannelModel } from 'amqplib';
import { describeError, ServerUnavailableError } from '../../errors.ts';
import type { Logger } from '../../ports.ts';
import { RabbitMqConnection } from './connection.ts';

/** What a passive declare tells at once: ready messages only, neither unacknowledged nor dead-lettered ones. */
export interface QueueInspection {
  readonly messageCount: number;
  readonly consumerCount: number;
}

/** By queue; undefined for one that does not exist. */
export type QueueInspections = ReadonlyMap<string, QueueInspection | undefined>;

export interface QueueInspectorOptions {
  readonly urls: readonly string[];
  readonly name: string;
  readonly log: Logger;
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
    let giveUp = () => {};
    const late = new Promise<never>((_, reject) => {
      giveUp = () => reject(new Error(`no answer within ${deadlineMs / 1_000} s`));
    });
    const timer = setTimeout(giveUp, deadlineMs);
    try {
      return await Promise.race([this.#look(queueNames), late]);
    } catch (error) {
      void this.#drop();
      if (error instanceof ServerUnavailableError) throw error;
      throw new ServerUnavailableError(
        `RabbitMQ could not be asked about its queues: ${describeError(error)}`,
        { isRefusal: false, cause: error },
      );
    } finally {
      clearTimeout(timer);
    }
  }

  async #look(queueNames: readonly string[]): Promise<QueueInspections> {
    return inspectWith(this.#model ?? (await this.#connect()), queueNames);
  }

  /** Nothing is looked at any more; a look that goes on ends. */
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
    // A connection that is made after the end would hold the process for ever.
    if (this.#isClosed) throw new Error('closed');
    const connection = new RabbitMqConnection(this.#options);
    this.#connection = connection;
    let attached: ChannelModel | undefined;
    connection.add({
      attach: async (model) => {
        attached = model;
        if (this.#connection === connection) this.#model = model;
      },
      detach: () => {
        if (this.#connection === connection) this.#model = undefined;
      },
    });
    await connection.open(this.#options.deadlineMs);
    if (attached === undefined) throw new Error('the connection ended');
    return attached;
  }
}

async function inspectWith(model: ChannelModel, queueNames: readonly string[]): Promise<QueueInspections> {
  const found = new Map<string, QueueInspection | undefined>();
  const waiting = [...queueNames];
  while (waiting.length > 0) await inspectOnChannel(model, waiting, found);
  return found;
}

/** Until all are told, or the channel has ended, as it does at a queue that does not exist. */
async function inspectOnChannel(
  model: ChannelModel,
  waiting: string[],
  found: Map<string, QueueInspection | undefined>,
): Promise<void> {
  const channel = await model.createChannel();
  channel.on('error', () => {});
  for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) {
    try {
      const { messageCount, consumerCount } = await channel.checkQueue(name);
      found.set(name, { messageCount, consumerCount });
    } catch (error) {
      if ((error as { code?: unknown }).code !== NOT_FOUND) throw error;
      found.set(name, undefined);
      return;
    }
  }
  await channel.close();
}

const NOT_FOUND = 404;
