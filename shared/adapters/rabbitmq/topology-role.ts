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
 * The connection that declares holds an exclusive queue, the lock, which goes with it. The others consume another queue, the
 * bell, which stays empty and which the holder of the lock deletes when it is through: RabbitMQ tells each consumer so. Nothing
 * is published, because RabbitMQ reads nothing more from a connection that publishes during an alarm.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Channel, ChannelModel } from 'amqplib';
import type { QueueDescription, Topology } from '../../domain/topology.ts';
import type { ConnectionRole } from './connection.ts';

const NOT_FOUND = 404;
const RESOURCE_LOCKED = 405;
const LOCK_ARGUMENTS = { 'x-queue-type': 'classic' };
// Durable: RabbitMQ 4.3 refuses others. The bell expires where nobody deletes it.
const BELL_ARGUMENTS = { 'x-queue-type': 'classic', 'x-expires': 60_000 };
/** For when the holder of the lock dies, or was through before we listened. */
const LOOK_AGAIN_MS = 1_000;
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
    const [prefix] = topology.exchanges;
    while (!(await areThere(connection, topology.queues))) {
      const lock = await takeLock(connection, prefix);
      if (lock === undefined) {
        await waitForBell(connection, prefix);
        continue;
      }
      // Another connection may have made them before we took the lock.
      const isUpToUs = !(await areThere(connection, topology.queues));
      await declare(connection, topology);
      if (isUpToUs) await makeRabbitMqWriteNames(connection, prefix);
      await lock.deleteQueue(bellOf(prefix));
      return deleteAndClose(lock, lockOf(prefix));
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

const lockOf = (prefix: string) => `${prefix}.declaring`;
const bellOf = (prefix: string) => `${prefix}.declared`;

/** The channel that holds the lock; undefined where another connection has it. */
async function takeLock(connection: ChannelModel, prefix: string): Promise<Channel | undefined> {
  const channel = await openChannel(connection);
  try {
    await channel.assertQueue(lockOf(prefix), { exclusive: true, durable: false, arguments: LOCK_ARGUMENTS });
    return channel;
  } catch (error) {
    // It has closed the channel.
    if ((error as { code?: unknown }).code === RESOURCE_LOCKED) return undefined;
    throw error;
  }
}

/** Waits until the holder of the lock is through, but for a second or so at most. */
async function waitForBell(connection: ChannelModel, prefix: string): Promise<void> {
  const channel = await openChannel(connection);
  const wait = new AbortController();
  const isOver = sleep(LOOK_AGAIN_MS * (0.5 + Math.random()), undefined, wait).catch(() => {});
  try {
    await channel.assertQueue(bellOf(prefix), { durable: true, arguments: BELL_ARGUMENTS });
    // Nothing lies in it: what comes is the word that it was deleted.
    await channel.consume(bellOf(prefix), () => wait.abort());
    await isOver;
    await channel.close();
  } catch (error) {
    wait.abort();
    // It was deleted between two of these steps, which closes the channel.
    if ((error as { code?: unknown }).code !== NOT_FOUND) throw error;
  }
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
