import type { ChannelModel } from 'amqplib';
import type { Topology } from '../../domain/topology.ts';
import type { ConnectionRole } from './connection.ts';

/** Declares the topology at every connect, so that what was deleted meanwhile is there again. */
export class TopologyRole implements ConnectionRole {
  readonly #describe: () => Topology;

  /** @param describe asked at every connect, for it may grow */
  constructor(describe: () => Topology) {
    this.#describe = describe;
  }

  async attach(connection: ChannelModel): Promise<void> {
    const channel = await connection.createChannel();
    // A refused declaration closes the channel and rejects the call; the event would be an uncaught second report.
    channel.on('error', () => {});
    const { exchange, queues } = this.#describe();
    await channel.assertExchange(exchange, 'direct', { durable: true });
    for (const queue of queues) {
      await channel.assertQueue(queue.name, { durable: true, arguments: { ...queue.arguments } });
      await channel.bindQueue(queue.name, exchange, queue.routingKey);
    }
    await channel.close();
  }

  detach(): void {}
}
