import { setTimeout as sleep } from 'node:timers/promises';
import { type ConnectionRole, RabbitMqConnection } from '../../../shared/adapters/rabbitmq/connection.ts';
import { RabbitMqConsumer } from '../../../shared/adapters/rabbitmq/consumer.ts';
import { RabbitMqPublisher } from '../../../shared/adapters/rabbitmq/publisher.ts';
import { TopologyDeclarer } from '../../../shared/adapters/rabbitmq/topology-declarer.ts';
import type { RetrySchedule } from '../../../shared/domain/schedule/retry-schedule.ts';
import type { OutgoingMessage } from '../../../shared/domain/sms/message.ts';
import { queueNameOf, type Topology, topologyOf } from '../../../shared/domain/topology/topology.ts';
import type { Delivery } from '../../../shared/ports/delivery-source.ts';
import { RecordedLog } from '../recorded-log.ts';
import { ManagementApi } from './management-api.ts';
import { TcpProxy } from './tcp-proxy.ts';

let pipelineCount = 0;

/** A topology of its own on a real RabbitMQ, connections to it through a proxy, and a look from outside. */
export class PipelineOnRabbitMq {
  readonly prefix: string;
  readonly topology: Topology;
  readonly api: ManagementApi;
  readonly proxy: TcpProxy;
  readonly log = new RecordedLog();
  readonly #connections: RabbitMqConnection[] = [];

  private constructor(managementUrl: string, schedule: RetrySchedule, proxy: TcpProxy) {
    pipelineCount += 1;
    this.prefix = `test-${process.pid}-${Date.now().toString(36)}-${pipelineCount}`;
    this.topology = topologyOf(this.prefix, schedule);
    this.api = new ManagementApi(managementUrl);
    this.proxy = proxy;
  }

  static async start(
    servers: { readonly rabbitmqUrl: string; readonly managementUrl: string },
    schedule: RetrySchedule = [],
  ): Promise<PipelineOnRabbitMq> {
    const proxy = await new TcpProxy(Number(new URL(servers.rabbitmqUrl).port)).open();
    return new PipelineOnRabbitMq(servers.managementUrl, schedule, proxy);
  }

  get url(): string {
    return `amqp://guest:guest@127.0.0.1:${this.proxy.port}`;
  }

  /** The name of all its connections. */
  get connectionName(): string {
    return `redial ${this.prefix}`;
  }

  /** A connection that declares the topology and then attaches the roles; not opened yet. */
  describe(roles: readonly ConnectionRole[], urls: readonly string[] = [this.url]): RabbitMqConnection {
    const connection = new RabbitMqConnection({ urls, name: this.connectionName, log: this.log });
    for (const role of [new TopologyDeclarer(() => this.topology), ...roles]) connection.add(role);
    this.#connections.push(connection);
    return connection;
  }

  async connect(
    roles: readonly ConnectionRole[] = [],
    urls?: readonly string[],
  ): Promise<RabbitMqConnection> {
    const connection = this.describe(roles, urls);
    await connection.open(60_000);
    return connection;
  }

  publisher(options: { maxUnconfirmed?: number; deadlineMs?: number } = {}): RabbitMqPublisher {
    return new RabbitMqPublisher({
      prefix: this.prefix,
      maxUnconfirmed: 1_000,
      deadlineMs: 20_000,
      ...options,
    });
  }

  consumer(routingKey: string, prefetchCount = 100): RabbitMqConsumer {
    return new RabbitMqConsumer({ queueName: this.queue(routingKey), prefetchCount });
  }

  queue(routingKey: string): string {
    return queueNameOf(this.prefix, routingKey);
  }

  /** Publishes messages with these ids and waits until they are confirmed. */
  async fill(routingKey: string, messageIds: readonly string[]): Promise<void> {
    const publisher = this.publisher();
    const connection = await this.connect([publisher]);
    await Promise.all(messageIds.map((id) => publisher.publish(messageWith(id, routingKey))));
    await connection.close();
  }

  /** Closes all connections, deletes the queues, and tells how many connections are left all the same. */
  async stop(): Promise<number> {
    const leftCount = await this.disconnect();
    await Promise.all(this.topology.queues.map(({ name }) => this.api.deleteQueue(name).catch(() => {})));
    return leftCount;
  }

  /** As `stop`, but the queues stay. */
  async disconnect(): Promise<number> {
    await Promise.all(this.#connections.map((connection) => connection.close()));
    // The proxy sees the end of a connection a moment after the client.
    for (let turn = 0; turn < 20 && this.proxy.connectionCount > 0; turn += 1) await sleep(10);
    const leftCount = this.proxy.connectionCount;
    await this.proxy.close();
    return leftCount;
  }
}

export function messageWith(messageId: string, routingKey = 'work'): OutgoingMessage {
  return {
    routingKey,
    messageId,
    type: 'sms',
    contentType: 'application/json',
    timestampMs: 1_700_000_000_000,
    headers: {},
    body: Buffer.from('{}'),
  };
}

export function idOf(delivery: Delivery): string {
  return String(delivery.message.messageId);
}

/** `prefix-0`, `prefix-1`, … */
export function numberedIds(count: number, prefix = 'sms'): string[] {
  return Array.from({ length: count }, (_, index) => `${prefix}-${index}`);
}
