/**
 * Declares the topology at every connect, so that what was deleted meanwhile is there again. Two properties of RabbitMQ
 * (seen with 3.10.8, the first also with 4.0.5) make a new queue a special case:
 *
 * - RabbitMQ keeps the name of its newest quorum queue in memory for up to 3 s: the table of names is a DETS file, whose
 *   cache is written after that time, or when the name of another new queue is looked up in it
 *   (https://github.com/rabbitmq/ra/blob/v2.14.0/src/ra_directory.erl). A RabbitMQ that is killed before that starts again
 *   with an empty queue of that name, without a leader: what was confirmed lies in a folder that nothing names any more, and
 *   nothing is ever confirmed again. So where a queue was missing, one more queue is made and deleted before anything is
 *   published: this takes 10 ms, waiting would take 3 s.
 * - RabbitMQ tells other connections that a queue exists before it has given the queue its TTL. What they publish in between
 *   has no TTL, never expires, and holds up all that comes after it. So missing queues are declared by one connection at a
 *   time, the queues with a TTL before the last one: a connection that finds the last queue finds all of them complete.
 *
 * The connection that declares holds an exclusive queue, the lock, which RabbitMQ deletes with the connection. The others
 * consume another queue, the bell. The bell stays empty; the holder of the lock deletes it at its end, and RabbitMQ tells
 * each consumer so. Nothing is published, because during an alarm RabbitMQ reads nothing more from a connection that
 * publishes.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Channel, ChannelModel } from 'amqplib';
import type { Topology } from '../../domain/topology/topology.ts';
import type { ConnectionRole } from './connection.ts';
import { codeOf, isMissing, isTopologyThere, openChannel } from './topology-check.ts';

const RESOURCE_LOCKED = 405;
const LOCK_ARGUMENTS = { 'x-queue-type': 'classic' };
// Durable: RabbitMQ 4.3 refuses others. The bell expires where nobody deletes it.
const BELL_ARGUMENTS = { 'x-queue-type': 'classic', 'x-expires': 60_000 };
/** For a holder of the lock that died, or that ended before we consumed the bell. */
const LOOK_AGAIN_MS = 1_000;
// For a process that dies before it deletes the queue which only made RabbitMQ write.
const EXPIRES_MS = 60_000;

export class TopologyDeclarer implements ConnectionRole {
  readonly #topology: () => Topology;

  /** @param topology asked at every connect, because it may grow */
  constructor(topology: () => Topology) {
    this.#topology = topology;
  }

  async attach(connection: ChannelModel): Promise<void> {
    const topology = this.#topology();
    const prefix = topology.exchanges[0].name;
    while (!(await isTopologyThere(connection, topology))) {
      const lock = await takeLock(connection, prefix);
      if (lock === undefined) {
        await waitForBell(connection, prefix);
        continue;
      }
      // Another connection may have made the queues before we took the lock.
      const isUpToUs = !(await isTopologyThere(connection, topology));
      await declare(connection, topology);
      if (isUpToUs) await makeRabbitMqWriteNames(connection, prefix);
      await lock.deleteQueue(bellOf(prefix));
      return deleteAndClose(lock, lockOf(prefix));
    }
    await declare(connection, topology);
  }

  detach(): void {}
}

async function declare(connection: ChannelModel, { exchanges, queues, bindings }: Topology): Promise<void> {
  const channel = await openChannel(connection);
  for (const { name, type } of exchanges) await channel.assertExchange(name, type, { durable: true });
  for (const { name, arguments: queueArguments } of queues) {
    await channel.assertQueue(name, { durable: true, arguments: { ...queueArguments } });
    // At once: whoever finds the last queue takes all for declared.
    for (const { queue, exchange, routingKey } of bindings)
      if (queue === name) await channel.bindQueue(queue, exchange, routingKey);
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
    if (codeOf(error) === RESOURCE_LOCKED) return undefined;
    throw error;
  }
}

/** Waits until the holder of the lock has ended, at most about a second. */
async function waitForBell(connection: ChannelModel, prefix: string): Promise<void> {
  const channel = await openChannel(connection);
  const wait = new AbortController();
  const isOver = sleep(LOOK_AGAIN_MS * (0.5 + Math.random()), undefined, wait).catch(() => {});
  try {
    await channel.assertQueue(bellOf(prefix), { durable: true, arguments: BELL_ARGUMENTS });
    // The bell is empty: the only thing that comes is the word that it was deleted.
    await channel.consume(bellOf(prefix), () => wait.abort());
    await isOver;
    await channel.close();
  } catch (error) {
    wait.abort();
    // The bell was deleted between two of these steps.
    if (!isMissing(error)) throw error;
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
