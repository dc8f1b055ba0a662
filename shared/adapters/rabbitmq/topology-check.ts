/** Asks RabbitMQ which queues exist, by passive declares: they change nothing, so they need no right to configure. */
import type { Channel, ChannelModel } from 'amqplib';
import type { Topology } from '../../domain/topology/topology.ts';

const NOT_FOUND = 404;

/** What a passive declare tells at once: ready messages only, neither unacknowledged nor dead-lettered ones. */
export interface QueueInspection {
  readonly messageCount: number;
  readonly consumerCount: number;
}

/** True where all queues of the topology exist. */
export async function isTopologyThere(connection: ChannelModel, { queues }: Topology): Promise<boolean> {
  const names = queues.map(({ name }) => name);
  return (await inspectUntilMissing(connection, names)).length === names.length;
}

/** Looks at the queues in their order, as far as the first one that does not exist. */
export async function inspectUntilMissing(
  connection: ChannelModel,
  queueNames: readonly string[],
): Promise<QueueInspection[]> {
  const found: QueueInspection[] = [];
  const channel = await openChannel(connection);
  try {
    for (const name of queueNames) {
      const { messageCount, consumerCount } = await channel.checkQueue(name);
      found.push({ messageCount, consumerCount });
    }
    await channel.close();
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
  return found;
}

/** A channel on which RabbitMQ may refuse a call. That closes the channel and rejects the call. */
export async function openChannel(connection: ChannelModel): Promise<Channel> {
  const channel = await connection.createChannel();
  // The event tells the same a second time, and would end the process.
  channel.on('error', () => {});
  return channel;
}

/** True where a call was refused because its queue does not exist; the channel is closed then. */
export function isMissing(error: unknown): boolean {
  return codeOf(error) === NOT_FOUND;
}

/** The reply code of AMQP with which RabbitMQ refused a call. */
export function codeOf(error: unknown): unknown {
  return (error as { code?: unknown }).code;
}
