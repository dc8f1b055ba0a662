import { describeError, ServerUnavailableError } from '../../../errors.ts';
import type { StartMarks } from '../../../ports/start-marks.ts';
import type { RedisConnection, RedisSession } from '../connection.ts';
import { redisKeysOf } from '../keys.ts';

// An SMS whose sender dies each time is begun again within minutes.
const KEEP_SECONDS = 86_400;

/** Marks in one Redis hash, number of starts by SMS id. */
export class RedisStartMarks implements StartMarks {
  readonly #connection: RedisConnection;
  readonly #key: string;

  constructor(connection: RedisConnection, prefix: string) {
    this.#connection = connection;
    this.#key = redisKeysOf(prefix).starts;
  }

  /** @throws ServerUnavailableError, as the other two do */
  unendedStarts(smsId: string): Promise<number> {
    return this.#ask(async ({ redis }) => Number((await redis.hget(this.#key, smsId)) ?? 0));
  }

  begin(smsId: string): Promise<void> {
    return this.#ask(async ({ redis }) => {
      await redis.multi().hincrby(this.#key, smsId, 1).expire(this.#key, KEEP_SECONDS).exec();
    });
  }

  end(smsId: string): Promise<void> {
    return this.#ask(async ({ redis }) => {
      await redis.hdel(this.#key, smsId);
    });
  }

  async #ask<Value>(call: (session: RedisSession) => Promise<Value>): Promise<Value> {
    try {
      return await call(this.#connection.session());
    } catch (error) {
      const said = `Redis did not mark: ${describeError(error)}`;
      throw new ServerUnavailableError(said, { isRefusal: false, cause: error });
    }
  }
}
