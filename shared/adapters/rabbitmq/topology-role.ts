/**
 * Declares the topology at every connect, so that what was deleted meanwhile is there again. Two things about RabbitMQ
 * (seen with 3.10.8, the first also with 4.0.5) make a queue that is new a special case:
 *
 * - It keeps the name of its newest quorum queue in memory for up to 3 s: the table of names is a DETS file, whose cache is
 *   written after that time or when the name of another new queue is looked up in it
 *   (https://github.com/rabbitmq/ra/blob/v2.14.0/src/ra_directory.erl). Killed before that, RabbitMQ starts again with an
 *   empty queue of that name, without a leader: what was confirmed lies in a folder that nothing names any more, and nothing
 *   is ever confirmed again. So where a queue was missing, one more is made and deleted before we publish: 10 ms, where
 *   waiting would be 3 s.
 * - It tells others that a queue is there before it has given it its TTL. What they publish in between has none, never
 *   expires, and holds up all that comes after it. So what is missing is declared by one connection at a time, the queues
 *   with a TTL before the last one: who finds that one finds them complete.
 *
 * RabbitMQ says whose turn it is. Connections that miss a queue consume the lock queue, of which one consumer at a time is
 * active (https://www.rabbitmq.com/docs/consumers#single-active-consumer). The active one is handed the only message, the
 * token, and declares. When its connection ends, RabbitMQ hands the token to the next consumer. When it is through, it deletes
 * the lock queue, which tells all others at once.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Channel, ChannelModel } from 'amqplib';
import type { QueueDescription, Topology } from '../../domain/topology.ts';
import type { ConnectionRole } from './connection.ts';

const NOT_FOUND = 404;
const LOCK_KEY = 'declare';
// Durable and not exclusive: RabbitMQ 4.3 refuses others. Not a quorum queue: see above what becomes of a new one.
const LOCK_ARGUMENTS = {
  'x-queue-type': 'classic',
  'x-single-active-consumer': true,
  'x-max-length': 1,
  // Deletes it where all die who waited for it.
  'x-expires': 60_000,
};
// A cluster may not route at once to a queue that was just bound.
const TOKEN_AGAIN_MS = 2_000;
const LOOK_AGAIN_MS = 200;
const TOKEN = Buffer.from('whoever holds this declares');
// Deletes the queue that only made RabbitMQ write, where we die before we do.
const EXPIRES_MS = 60_000;

export class TopologyRole implements ConnectionRole {
  readonly #describe: () => Topology;

  /** @param describe asked at every connect, for it may grow */
  constructor(describe: () => Topology) {
    this.#describe = describe;
  }

  async attach(connection: ChannelModel): Promise<void> {
    const topology = this.#describe();
    while (!(await areThere(connection, topology.queues))) {
      const lock = await takeLock(connection, topology.exchanges[0]);
      // Somebody else has made them, or has died of it.
      if (lock === undefined) continue;
      // Somebody else may have made them before we took the lock.
      const isUpToUs = !(await areThere(connection, topology.queues));
      await declare(connection, topology);
      if (isUpToUs) await makeRabbitMqWriteNames(connection, topology.exchanges[0]);
      return lock.release();
    }
    await declare(connection, topology);
  }

  detach(): void {}
}

async function areThere(connection: ChannelModel, queues: readonly QueueDescription[]): Promise<boolean> {
  const channel = await openChannel(connection);
  try {
    for (const { name } of queues) await channel.checkQueue(name);
    await channel.close();
    return true;
  } catch (error) {
    // It has closed the channel.
    if ((error as { code?: unknown }).code === NOT_FOUND) return false;
    throw error;
  }
}

async function openChannel(connection: ChannelModel): Promise<Channel> {
  const channel = await connection.createChannel();
  // What is refused closes the channel and rejects the call; the event would be an uncaught second report.
  channel.on('error', () => {});
  return channel;
}

async function declare(connection: ChannelModel, { exchanges, queues }: Topology): Promise<void> {
  const channel = await openChannel(connection);
  for (const exchange of exchanges) await channel.assertExchange(exchange, 'direct', { durable: true });
  for (const queue of queues) {
    await channel.assertQueue(queue.name, { durable: true, arguments: { ...queue.arguments } });
    await channel.bindQueue(queue.name, queue.exchange, queue.routingKey);
  }
  await channel.close();
}

/** The right to declare. It goes with our connection. */
interface Lock {
  release(): Promise<void>;
}

/** Waits until no other connection declares; undefined where one was through with it while we waited. */
async function takeLock(connection: ChannelModel, exchange: string): Promise<Lock | undefined> {
  const queue = `${exchange}.${LOCK_KEY}`;
  const channel = await openChannel(connection);
  try {
    await channel.assertExchange(exchange, 'direct', { durable: true });
    await channel.assertQueue(queue, { durable: true, arguments: LOCK_ARGUMENTS });
    await channel.bindQueue(queue, exchange, LOCK_KEY);
    await channel.prefetch(1);
    const isOurs = await waitForToken(channel, exchange, queue);
    if (!isOurs) await channel.close();
    return isOurs ? { release: () => deleteAndClose(channel, queue) } : undefined;
  } catch (error) {
    // The queue was deleted between two of these steps, or the node that has it is down. The channel is closed.
    if ((error as { code?: unknown }).code !== NOT_FOUND) throw error;
    await sleep(LOOK_AGAIN_MS * (0.5 + Math.random()));
    return undefined;
  }
}

/** True when it is handed to us, false when the queue is deleted. */
async function waitForToken(channel: Channel, exchange: string, queue: string): Promise<boolean> {
  const told = new Promise<boolean>((resolve, reject) => {
    channel.on('close', () => reject(new Error('the channel of the lock was closed')));
    channel.consume(queue, (token) => resolve(token !== null)).catch(reject);
  });
  const publish = () => {
    try {
      channel.publish(exchange, LOCK_KEY, TOKEN);
    } catch {
      // The channel is being closed, which its event tells.
    }
  };
  publish();
  const again = setInterval(publish, TOKEN_AGAIN_MS);
  return told.finally(() => clearInterval(again));
}

async function makeRabbitMqWriteNames(connection: ChannelModel, prefix: string): Promise<void> {
  const channel = await openChannel(connection);
  const { queue } = await channel.assertQueue(`${prefix}.newest.${randomUUID()}`, {
    durable: true,
    arguments: { 'x-queue-type': 'quorum', 'x-expires': EXPIRES_MS },
  });
  await deleteAndClose(channel, queue);
}

async function deleteAndClose(channel: Channel, queue: string): Promise<void> {
  await channel.deleteQueue(queue);
  await channel.close();
}
