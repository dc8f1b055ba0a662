import { hostname } from 'node:os';
import { type Channel, type ConfirmChannel, connect, type GetMessage } from 'amqplib';
import { internalExchangeOf } from '../../../shared/domain/topology/topology.ts';
import { waitFor } from '../../kit/wait-for.ts';
import type { WaitingQueue } from '../checker.ts';
import type { FaultServers } from './fault-servers.ts';

export interface QueuedMessage {
  readonly messageId: string;
  readonly type?: string;
  readonly headers: Record<string, unknown>;
  readonly body: Buffer;
}

// The broker's statistics are a second old anyway, and cost it more than the run does.
const POLL_MS = 500;

/** The queues of one pipeline in RabbitMQ, as an operator and a foreign client see them. */
export class PipelineQueues {
  readonly #servers: FaultServers;
  readonly #queueName: string;

  constructor(servers: FaultServers, queueName: string) {
    this.#servers = servers;
    this.#queueName = queueName;
  }

  async all(): Promise<WaitingQueue[]> {
    const path = 'queues?disable_stats=true&enable_queue_totals=true';
    const queues = await this.#servers.api.call<WaitingQueue[]>('GET', path);
    return queues
      .filter(({ name }) => name.startsWith(`${this.#queueName}.`))
      .map(({ name, messages }) => ({ name, messages }));
  }

  /** Messages in all queues but the parked one, whatever state they are in. */
  async countWaiting(): Promise<number> {
    const queues = await this.#allBut('parked');
    return queues.reduce((sum, { messages = 0 }) => sum + messages, 0);
  }

  /** Nothing waits but what is parked, and RabbitMQ has counted: in the first 5 s after its start it knows no numbers. */
  async areEmpty(): Promise<boolean> {
    return (await this.#allBut('parked')).every(({ messages }) => messages === 0);
  }

  /** Gives up silently at the deadline: the checker says what waits. */
  waitUntilEmpty(deadlineMs: number): Promise<void> {
    return waitFor('the queues to be empty', () => this.areEmpty(), deadlineMs, undefined, POLL_MS).catch(
      () => {},
    );
  }

  /** Waits until no SMS waits to be sent or sent again; what was sent may still wait to be recorded. */
  waitUntilSent(): Promise<void> {
    const isSent = async () =>
      (await this.#allBut('parked', 'journal')).every(({ messages }) => messages === 0);
    return waitFor('all SMS to be sent', isSent, undefined, undefined, POLL_MS);
  }

  /** As the management API tells it: looking at the messages would count as handing them out. */
  async parkedCount(): Promise<number> {
    return (await this.all()).find(({ name }) => name === `${this.#queueName}.parked`)?.messages ?? 0;
  }

  /** Senders that take journal messages. */
  async recorderCount(): Promise<number> {
    const path = `queues/%2F/${encodeURIComponent(`${this.#queueName}.journal`)}`;
    return (await this.#servers.api.call<{ consumers?: number }>('GET', path)).consumers ?? 0;
  }

  /** Ends the connections of that role of a process, as an operator would. */
  async killConnections(role: 'sender' | 'recorder', pid: number): Promise<void> {
    const name = `redial ${role}@${hostname()}:${pid}`;
    // The broker's statistics know of a connection a moment after it was made.
    await waitFor(`a connection ${name}`, async () => (await this.#servers.api.killConnections(name)) > 0);
  }

  /** Publishes to the work queue, as a foreign client would. */
  publish(messages: readonly QueuedMessage[]): Promise<void> {
    return this.#onChannel(async (channel) => {
      const contentType = 'application/json';
      for (const { messageId, headers, body } of messages)
        channel.publish(this.#queueName, 'work', body, { messageId, headers, contentType, persistent: true });
      await channel.waitForConfirms();
    });
  }

  /** Takes that many messages out of a queue for good. */
  take(routingKey: string, count: number): Promise<QueuedMessage[]> {
    return this.#onChannel(async (channel) => {
      const taken = await this.#get(channel, routingKey, count, true);
      if (taken.length < count) throw new Error(`the queue held only ${taken.length} messages`);
      return taken;
    });
  }

  /** What lies in the parked queue, and stays there. */
  parkedMessages(): Promise<QueuedMessage[]> {
    return this.#onChannel((channel) => this.#get(channel, 'parked', Number.POSITIVE_INFINITY, false));
  }

  /** Of any queue but the work queue. */
  deleteBinding(routingKey: string): Promise<void> {
    const exchange = internalExchangeOf(this.#queueName);
    return this.#servers.api.deleteBinding(exchange, `${this.#queueName}.${routingKey}`, routingKey);
  }

  async deleteAll(): Promise<void> {
    const queues = await this.all().catch(() => []);
    await Promise.all(queues.map(({ name }) => this.#servers.api.deleteQueue(name).catch(() => {})));
  }

  async #allBut(...routingKeys: readonly string[]): Promise<WaitingQueue[]> {
    const names = routingKeys.map((routingKey) => `${this.#queueName}.${routingKey}`);
    return (await this.all()).filter(({ name }) => !names.includes(name));
  }

  async #get(channel: Channel, routingKey: string, count: number, noAck: boolean): Promise<QueuedMessage[]> {
    const found: QueuedMessage[] = [];
    while (found.length < count) {
      const message: GetMessage | false = await channel.get(`${this.#queueName}.${routingKey}`, { noAck });
      if (message === false) break;
      const { messageId, type, headers } = message.properties;
      found.push({ messageId: String(messageId), type, headers: headers ?? {}, body: message.content });
    }
    return found;
  }

  /** What is not acknowledged when the connection ends goes back into its queue. */
  async #onChannel<Value>(use: (channel: ConfirmChannel) => Promise<Value>): Promise<Value> {
    const connection = await connect(this.#servers.rabbitMq.amqpUrl);
    try {
      return await use(await connection.createConfirmChannel());
    } finally {
      await connection.close();
    }
  }
}
