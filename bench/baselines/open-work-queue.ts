import { type ConfirmChannel, connect } from 'amqplib';
import { ROUTING_KEYS, topologyOf } from '../../shared/domain/topology/topology.ts';

/** A confirm channel to RABBITMQ_URL, and how to publish into the work queue of QUEUE_NAME, which is declared as Redial does. */
export async function openWorkQueue(): Promise<{
  readonly channel: ConfirmChannel;
  readonly exchange: string;
  readonly routingKey: string;
  close(): Promise<void>;
}> {
  const connection = await connect(process.env.RABBITMQ_URL ?? '');
  const channel = await connection.createConfirmChannel();
  const { queues, bindings } = topologyOf(process.env.QUEUE_NAME ?? '');
  const binding = bindings.find((each) => each.routingKey === ROUTING_KEYS.work);
  const queue = queues.find(({ name }) => name === binding?.queue);
  if (queue === undefined || binding === undefined) throw new Error('there is no work queue');
  const { exchange, routingKey } = binding;
  await channel.assertExchange(exchange, 'direct', { durable: true });
  await channel.assertQueue(queue.name, { durable: true, arguments: queue.arguments });
  await channel.bindQueue(queue.name, exchange, routingKey);
  return { channel, exchange, routingKey, close: () => connection.close() };
}
