import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { type EmbeddedS3, startEmbeddedS3 } from '../../scripts/servers/embedded-s3.ts';
import { type PrivateRabbitMq, readOverview } from '../../scripts/servers/private-rabbitmq.ts';
import { type PrivateRedis, startPrivateRedis } from '../../scripts/servers/private-redis.ts';
import { ensurePrograms } from '../../scripts/servers/private-servers.ts';
import type { PrivateServer } from '../../scripts/servers/restartable-server.ts';
import { say } from '../../shared/output.ts';
import { ManagementApi } from '../../shared/testing/management-api.ts';
import { ensureTestedRabbitMq, startTestedRabbitMq } from '../../shared/testing/tested-rabbitmq.ts';
import { cpuMsOf, cpuMsOfMachine, residentBytesOf } from './processes-seen.ts';

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
  readonly #folder: string;

  private constructor(folder: string, rabbitMq: PrivateRabbitMq, redis: PrivateRedis, s3: EmbeddedS3) {
    this.#folder = folder;
    this.rabbitMq = rabbitMq;
    this.redis = redis;
    this.s3 = s3;
    this.api = new ManagementApi(rabbitMq.managementUrl);
  }

  static async start(folder: string): Promise<BenchServers> {
    const path = process.env.PATH ?? '';
    await ensurePrograms(['rabbitmq', 'redis'], path, say);
    await ensureTestedRabbitMq(say);
    const started: PrivateServer[] = [];
    const keep = <T extends PrivateServer>(server: T): T => {
      started.push(server);
      return server;
    };
    try {
      const [rabbitMq, redis, s3] = await Promise.all([
        startTestedRabbitMq(join(folder, 'rabbitmq')).then(keep),
        startPrivateRedis({ folder: join(folder, 'redis'), path }).then(keep),
        startEmbeddedS3({ folder: join(folder, 's3'), logFolder: join(folder, 'logs'), path }).then(keep),
      ]);
      return new BenchServers(folder, rabbitMq, redis, s3);
    } catch (error) {
      await Promise.all(started.map((server) => server.stop({ signal: 'SIGKILL' })));
      throw error;
    }
  }

  /** Their data is thrown away: nobody needs to shut down in order. */
  async stop(): Promise<void> {
    await Promise.all(
      [this.rabbitMq, this.redis, this.s3].map((server) => server.stop({ signal: 'SIGKILL' })),
    );
  }

  /** The environment that tells a command where they are. */
  get addresses(): Record<string, string> {
    return {
      RABBITMQ_URL: this.rabbitMq.amqpUrl,
      RABBITMQ_MANAGEMENT_URL: this.rabbitMq.managementUrl,
      REDIS_URL: this.redis.url,
      AWS_ENDPOINT_URL: this.s3.endpoint,
      AWS_ACCESS_KEY_ID: this.s3.accessKeyId,
      AWS_SECRET_ACCESS_KEY: this.s3.secretAccessKey,
      AWS_REGION: 'us-east-1',
      AWS_EC2_METADATA_DISABLED: 'true',
    };
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
    for (const bucket of readdirSync(this.objectsFolder))
      rmSync(join(this.objectsFolder, bucket), { recursive: true, force: true });
    await this.waitUntilIdle();
  }

  /** Where the S3 server keeps a folder for each bucket. */
  get objectsFolder(): string {
    return join(this.#folder, 's3');
  }
}

function pidOf(server: PrivateServer): number {
  if (server.pid === undefined) throw new Error('a server of the bench has ended');
  return server.pid;
}
