/** What commands of several processes compose alike: the servers they read, and how they look at them. */
import { QueueInspector } from '../adapters/rabbitmq/inspect-queue.ts';
import { ManagementQueueReader } from '../adapters/rabbitmq/management-queues.ts';
import { RedisConnection } from '../adapters/redis/connection.ts';
import { RedisCounterReader } from '../adapters/redis/counter-reader.ts';
import type { S3ObjectStore } from '../adapters/s3/object-store.ts';
import type { Snapshot } from '../domain/snapshot.ts';
import { topologyOf } from '../domain/topology/topology.ts';
import { FreshQueueReader } from '../pipeline/readings/fresh-queues.ts';
import { LastKnown } from '../pipeline/readings/last-known.ts';
import { MomentReader, unknownSmsIn } from '../pipeline/readings/moment.ts';
import { makeSnapshot } from '../pipeline/readings/snapshot.ts';
import { pause } from '../pipeline/waiting.ts';
import type { Logger } from '../ports/logger.ts';
import type { Config } from '../process/config/config.ts';
import { connectionOptionsOf, managementOf } from '../process/config/rabbitmq.ts';
import { redisAddressOf } from '../process/config/redis.ts';
import { s3OptionsOf } from '../process/config/s3.ts';
import { quieted } from '../process/logger.ts';
import { systemClock } from '../process/system-clock.ts';

/** What is left of a deadline is for RabbitMQ itself, when the management API has let its time pass. */
export const MANAGEMENT_SHARE = 0.6;
// The process must end within a second of a signal, even while RabbitMQ leaves us hanging.
const INSPECT_DEADLINE_MS = 900;
const CONNECT_CHECK_MS = 20;

/** Redis, and RabbitMQ with its management API. */
export class ServersRead {
  readonly redis: RedisConnection;
  readonly counters: RedisCounterReader;
  readonly queues: FreshQueueReader;
  readonly #management: ManagementQueueReader;
  readonly #inspector: QueueInspector;

  /** @param managementTimeoutMs how long the management API may take to answer */
  constructor(config: Config, role: string, log: Logger, managementTimeoutMs: number) {
    const { queueName, retrySchedule, queueShards } = config;
    this.redis = new RedisConnection({ ...redisAddressOf(config), log });
    this.counters = new RedisCounterReader(this.redis, queueName);
    this.#management = new ManagementQueueReader({
      ...managementOf(config),
      prefix: queueName,
      timeoutMs: managementTimeoutMs,
    });
    this.#inspector = new QueueInspector(lookOptionsOf(config, role, log, INSPECT_DEADLINE_MS));
    const known = topologyOf(queueName, retrySchedule, queueShards).queues.map(({ name }) => name);
    const inspect = (names: readonly string[]) => this.#inspector.inspect(names);
    this.queues = new FreshQueueReader(this.#management, inspect, known);
  }

  /** Begins to connect to Redis, and gives it the time of one reading before we say that it does not answer. */
  async connectWithin(deadlineMs: number, shutdown?: AbortSignal): Promise<void> {
    this.redis.start();
    const giveUpAtMs = systemClock.nowMs() + deadlineMs;
    while (!isConnected(this.redis) && systemClock.nowMs() < giveUpAtMs && shutdown?.aborted !== true)
      await pause(systemClock, CONNECT_CHECK_MS, shutdown);
  }

  close(): void {
    this.redis.close();
    this.#management.close();
    void this.#inspector.close();
  }
}

/** Takes snapshots of one moment each; numbers of a server that does not answer stay as they were. */
export function createLook(
  { counters, queues }: ServersRead,
  prefix: string,
  run: string | undefined,
): (deadlineMs: number) => Promise<Snapshot> {
  const moments = new MomentReader(
    systemClock,
    new LastKnown(systemClock, () => counters.read(run)),
    new LastKnown(systemClock, () => queues.read()),
    (moment) => unknownSmsIn(prefix, moment),
  );
  return async (deadlineMs) => {
    const moment = await moments.read(deadlineMs);
    return makeSnapshot({ nowMs: systemClock.nowMs(), prefix, ...moment, run });
  };
}

/** How queues are looked at over a connection that is there for the look alone. */
export function lookOptionsOf(config: Config, role: string, log: Logger, deadlineMs: number) {
  // The snapshot tells as a problem what would be logged at each look.
  return { ...connectionOptionsOf(config, role, quieted(log)), deadlineMs };
}

export async function createObjectStore(config: Config): Promise<S3ObjectStore> {
  // Only here: the AWS SDK takes 0.2 s to load, more than all that reads counters and queues needs.
  const { S3ObjectStore } = await import('../adapters/s3/object-store.ts');
  return new S3ObjectStore(s3OptionsOf(config));
}

function isConnected(redis: RedisConnection): boolean {
  try {
    redis.session();
    return true;
  } catch {
    return false;
  }
}
