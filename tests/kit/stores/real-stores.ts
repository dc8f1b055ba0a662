import { RedisConnection } from '../../../shared/adapters/redis/connection.ts';
import { RedisCounterReader } from '../../../shared/adapters/redis/counter-reader.ts';
import { RedisCounterStore } from '../../../shared/adapters/redis/counter-store.ts';
import type { S3ObjectStore } from '../../../shared/adapters/s3/object-store.ts';
import type { CounterReading } from '../../../shared/ports/counter-reader.ts';
import { bucketOn, type ServerAddresses } from '../process/test-servers.ts';
import { RecordedLog } from '../recorded-log.ts';

/** A real Redis and a real S3. */
export class RealStores {
  readonly #servers: ServerAddresses;
  readonly #redis: RedisConnection;
  readonly #buckets: S3ObjectStore[] = [];

  constructor(servers: ServerAddresses) {
    this.#servers = servers;
    this.#redis = new RedisConnection({ url: servers.redisUrl, log: new RecordedLog() });
  }

  async open(): Promise<this> {
    await this.#redis.open(60_000);
    return this;
  }

  close(): void {
    this.#redis.close();
    for (const bucket of this.#buckets) bucket.close();
  }

  bucket(name: string): S3ObjectStore {
    const bucket = bucketOn(this.#servers, name);
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
