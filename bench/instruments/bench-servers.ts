import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import type { EmbeddedS3 } from '../../scripts/servers/private/embedded-s3.ts';
import { type PrivateRabbitMq, readOverview } from '../../scripts/servers/private/private-rabbitmq.ts';
import type { PrivateRedis } from '../../scripts/servers/private/private-redis.ts';
import { ensurePrograms } from '../../scripts/servers/private/private-servers.ts';
import type { PrivateServer } from '../../scripts/servers/programs/restartable-server.ts';
import { say } from '../../shared/process/output.ts';
import { cpuMsOf, cpuMsOfMachine, residentBytesOf } from '../../tests/kit/process/processes-seen.ts';
import { addressesOf, type ServerAddresses, startAllServers } from '../../tests/kit/process/test-servers.ts';
import { ManagementApi } from '../../tests/kit/rabbitmq/management-api.ts';
import { ensureTestedRabbitMq } from '../../tests/kit/rabbitmq/tested-rabbitmq.ts';

/** CPU time used since the start of each server, and of the whole machine. */
export interface CpuReading {
  readonly atMs: number;
  readonly rabbitMqMs: number;
  readonly redisMs: number;
  readonly s3Ms: number;
  readonly machineMs: number;
}

const IDLE_WINDOW_MS = 500;
const IDLE_SHARE = 0.1;
const IDLE_DEADLINE_MS = 15_000;

/** One RabbitMQ, one Redis and one S3 server, private to the bench. */
export class BenchServers {
  readonly rabbitMq: PrivateRabbitMq;
  readonly redis: PrivateRedis;
  readonly s3: EmbeddedS3;
  readonly api: ManagementApi;
  readonly stop: () => Promise<void>;
  readonly #folder: string;

  private constructor(folder: string, started: Awaited<ReturnType<typeof startAllServers>>) {
    this.#folder = folder;
    this.rabbitMq = started.rabbitMq;
    this.redis = started.redis;
    this.s3 = started.s3;
    this.stop = started.stop;
    this.api = new ManagementApi(started.rabbitMq.managementUrl);
  }

  static async start(folder: string): Promise<BenchServers> {
    const path = process.env.PATH ?? '';
    await ensurePrograms(['rabbitmq', 'redis'], path, say);
    await ensureTestedRabbitMq(say);
    return new BenchServers(folder, await startAllServers(folder));
  }

  get addresses(): ServerAddresses {
    return addressesOf(this.rabbitMq, this.redis, this.s3);
  }

  async versions(): Promise<{ rabbitMq: string; redis: string }> {
    const overview = await readOverview(this.rabbitMq.managementUrl);
    const info = await this.withRedis((redis) => redis.info('server'));
    return {
      rabbitMq: overview?.rabbitmq_version ?? 'unknown',
      redis: /redis_version:(\S+)/.exec(info)?.[1] ?? 'unknown',
    };
  }

  readCpu(): CpuReading {
    return {
      atMs: Date.now(),
      rabbitMqMs: cpuMsOf(pidOf(this.rabbitMq)),
      redisMs: cpuMsOf(pidOf(this.redis)),
      s3Ms: cpuMsOf(pidOf(this.s3)),
      machineMs: cpuMsOfMachine(),
    };
  }

  residentBytes(): { rabbitMq: number; redis: number } {
    return { rabbitMq: residentBytesOf(pidOf(this.rabbitMq)), redis: residentBytesOf(pidOf(this.redis)) };
  }

  /** What Redis's own data take, without the memory it has kept for later and its log of slow commands. */
  async redisDataBytes(): Promise<number> {
    const info = await this.withRedis(async (redis) => {
      await redis.slowlog('RESET');
      return redis.info('memory');
    });
    return Number(/used_memory:(\d+)/.exec(info)?.[1]);
  }

  async withRedis<T>(use: (redis: Redis) => Promise<T>): Promise<T> {
    const redis = new Redis(this.redis.url);
    try {
      return await use(redis);
    } finally {
      redis.disconnect();
    }
  }

  /** Waits until RabbitMQ has written and cleaned up what came before, so that the next round does not pay for it. */
  async waitUntilIdle(): Promise<void> {
    const giveUpAtMs = Date.now() + IDLE_DEADLINE_MS;
    for (let before = this.readCpu(); Date.now() < giveUpAtMs; ) {
      await sleep(IDLE_WINDOW_MS);
      const now = this.readCpu();
      const usedMs = now.rabbitMqMs - before.rabbitMqMs + now.redisMs - before.redisMs;
      if (usedMs < IDLE_SHARE * IDLE_WINDOW_MS) return;
      before = now;
    }
  }

  async purge(queueName: string): Promise<void> {
    await this.api.call('DELETE', `queues/%2F/${queueName}/contents`);
  }

  /** Forgets all queues, counters and objects: the next pipeline begins on empty servers. */
  async forgetAll(): Promise<void> {
    const queues = await this.api.call<{ name: string }[]>('GET', 'queues?disable_stats=true');
    for (const { name } of queues) await this.api.deleteQueue(name);
    await this.withRedis((redis) => redis.flushall());
    const objectsFolder = join(this.#folder, 's3');
    for (const bucket of readdirSync(objectsFolder))
      rmSync(join(objectsFolder, bucket), { recursive: true, force: true });
    await this.waitUntilIdle();
  }
}

function pidOf(server: PrivateServer): number {
  if (server.pid === undefined) throw new Error('a server of the bench has ended');
  return server.pid;
}
