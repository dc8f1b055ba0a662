import { RedisConnection } from '../adapters/redis/connection.ts';
import { RedisCounterReader } from '../adapters/redis/counter-reader.ts';
import { RedisCounterStore } from '../adapters/redis/counter-store.ts';
import { S3ObjectStore } from '../adapters/s3/object-store.ts';
import type { CounterReading } from '../ports.ts';
import { RecordedLog } from './recorded-log.ts';

/** A real Redis and a bucket of one's own on a real S3. */
export class RealStores {
  readonly objects: S3ObjectStore;
  readonly #redis: RedisConnection;

  constructor(
    servers: {
      readonly redisUrl: string;
      readonly s3Endpoint: string;
      readonly s3AccessKeyId: string;
      readonly s3SecretAccessKey: string;
    },
    bucket: string,
  ) {
    this.#redis = new RedisConnection({ url: servers.redisUrl, log: new RecordedLog() });
    this.objects = new S3ObjectStore({
      bucket,
      region: 'us-east-1',
      endpoint: servers.s3Endpoint,
      credentials: { accessKeyId: servers.s3AccessKeyId, secretAccessKey: servers.s3SecretAccessKey },
    });
  }

  async open(): Promise<this> {
    await Promise.all([this.#redis.open(10_000), this.objects.ensureBucket()]);
    return this;
  }

  close(): void {
    this.#redis.close();
    this.objects.close();
  }

  counters(prefix: string, recorderId: string): RedisCounterStore {
    return new RedisCounterStore({ connection: this.#redis, prefix, recorderId, keepTimeMs: 3_600_000 });
  }

  readCounters(prefix: string): Promise<CounterReading> {
    return new RedisCounterReader(this.#redis, prefix).read();
  }

  /** One Redis command, as redis-cli takes it. */
  async command(name: string, ...args: (string | number)[]): Promise<unknown> {
    return this.#redis.session().redis.call(name, ...args.map(String));
  }

  /** What an emptied Redis looks like to one pipeline. */
  async forget(prefix: string): Promise<void> {
    const keys = (await this.command('KEYS', `${prefix}:*`)) as string[];
    if (keys.length > 0) await this.command('UNLINK', ...keys);
  }
}
