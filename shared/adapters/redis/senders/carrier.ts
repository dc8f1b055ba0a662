import type { Redis } from 'ioredis';
import type { PauseBoard } from '../../../ports/gateway.ts';
import type { RedisConnection } from '../connection.ts';
import { redisKeysOf } from '../keys.ts';
import { CARRIER_SCRIPTS, type CarrierScriptName } from '../scripts.ts';

/** What the senders of a pipeline have in common about their carrier: its pause, and the capacity of the simulated one. */
export class RedisCarrier implements PauseBoard {
  readonly #connection: RedisConnection;
  readonly #senderId: string;
  readonly #keys: ReturnType<typeof redisKeysOf>;
  readonly #equipped = new WeakSet<Redis>();

  /** @param prefix QUEUE_NAME */
  constructor(connection: RedisConnection, prefix: string, senderId: string) {
    this.#connection = connection;
    this.#senderId = senderId;
    this.#keys = redisKeysOf(prefix);
  }

  exchange(ownMs: number, throttledCount: number): Promise<number> {
    const keys = [this.#keys.pause, this.#keys.throttled];
    return this.#run('exchange-pause', keys, this.#senderId, Math.ceil(ownMs), throttledCount);
  }

  /**
   * Takes the place of one SMS in what the simulated carrier can take.
   * @returns 0 where there was one, else the milliseconds until there are enough again
   * @throws ServerUnavailableError
   */
  takePlace(smsPerSecond: number): Promise<number> {
    return this.#run('take-capacity', [this.#keys.capacity], smsPerSecond);
  }

  #run(
    name: CarrierScriptName,
    keys: readonly string[],
    ...args: readonly (string | number)[]
  ): Promise<number> {
    return this.#connection.ask(async ({ redis }) => {
      this.#equip(redis);
      const command = `redial:${name}` as keyof Redis;
      const call = redis[command] as (...args: readonly (string | number)[]) => Promise<unknown>;
      return Number(await call.call(redis, keys.length, ...keys, ...args));
    });
  }

  #equip(redis: Redis): void {
    if (this.#equipped.has(redis)) return;
    for (const [name, lua] of CARRIER_SCRIPTS) redis.defineCommand(`redial:${name}`, { lua });
    this.#equipped.add(redis);
  }
}
