import type { ChannelModel } from 'amqplib';
import { ServerUnavailableError } from '../../errors.ts';
import type { Logger } from '../../ports.ts';
import { RabbitMqConnection } from './connection.ts';

/** What a passive declare tells at once: ready messages only, neither unacknowledged nor dead-lettered ones. */
export interface QueueInspection {
  readonly messageCount: number;
  readonly consumerCount: number;
}

/**
 * Looks at queues over a short connection of its own; undefined for a queue that does not exist.
 * @throws ServerUnavailableError
 */
export async function inspectQueues(
  options: { urls: readonly string[]; name: string; log: Logger; deadlineMs: number },
  queueNames: readonly string[],
): Promise<Map<string, QueueInspection | undefined>> {
  const found = new Map<string, QueueInspection | undefined>();
  const connection = new RabbitMqConnection(options);
  connection.add({
    attach: async (model) => {
      for (const queueName of queueNames) found.set(queueName, await inspectQueue(model, queueName));
    },
    detach: () => {},
  });
  try {
    await connection.open(options.deadlineMs);
    return found;
  } catch (error) {
    if (error instanceof ServerUnavailableError) throw error;
    throw new ServerUnavailableError('RabbitMQ could not be asked about its queues', {
      isRefusal: false,
      cause: error,
    });
  } finally {
    await connection.close();
  }
}

// A missing queue closes the channel, so each queue gets its own.
async function inspectQueue(model: ChannelModel, queueName: string): Promise<QueueInspection | undefined> {
  const channel = await model.createChannel();
  channel.on('error', () => {});
  try {
    const { messageCount, consumerCount } = await channel.checkQueue(queueName);
    await channel.close();
    return { messageCount, consumerCount };
  } catch (error) {
    if ((error as { code?: unknown }).code === 404) return undefined;
    throw error;
  }
}
