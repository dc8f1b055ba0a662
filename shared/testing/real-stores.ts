import { RedisConnection } from '../adapters/redis/connection.ts';
import { RedisCounterReader } from '../adapters/redis/counter-reader.ts';
import { RedisCounterStore } from '../adapters/redis/counter-store.ts';
import { S3ObjectStore } from '../adapters/s3/object-store.ts';
import type { CounterReading } from '../ports.ts';
import { RecordedLog } from './recorded-log.ts';

interface StoreAddresses {
  readonly redisUrl: string;
  readonly s3Endpoint: string;
  readonly s3AccessKeyId: string;
  readonly s3SecretAccessKey: string;
}

/** A real Redis and a real S3. */
export class RealStores {
  readonly #addresses: StoreAddresses;
  readonly #redis: RedisConnection;
  readonly #buckets: S3ObjectStore[] = [];

  constructor(addresses: StoreAddresses) {
    this.#addresses = addresses;
    this.#redis = new RedisConnection({ url: addresses.redisUrl, log: new RecordedLog() });
  }

  async open(): Promise<this> {
    await this.#redis.open(10_000);
    return this;
  }

  close(): void {
    this.#redis.close();
    for (const bucket of this.#buckets) bucket.close();
  }

  bucket(name: string): S3ObjectStore {
    const { s3Endpoint, s3AccessKeyId, s3SecretAccessKey } = this.#addresses;
    const credentials = { accessKeyId: s3AccessKeyId, secretAccessKey: s3SecretAccessKey };
    const bucket = new S3ObjectStore({
      bucket: name,
      region: 'us-east-1',
      endpoint: s3Endpoint,
      credentials,
    });
    this.#buckets.push(bucket);
    return bucket;
  }

  counters(prefix: string, recorderId: string, keepTimeMs = 3_600_000): RedisCounterStore {
    return new RedisCounterStore({ connection: this.#redis, prefix, recorderId, keepTimeMs });
  }

  /** @param run only this run */
  readCounters(prefix: string, run?: string): Promise<CounterReading> {
    return new RedisCounterReader(this.#redis, prefix).read(run);
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
