import { describeError, ServerUnavailableError } from '../../errors.ts';
import type { RedisConnection } from './connection.ts';
import { redisKeysOf, SIGN_OF_LIFE_SECONDS } from './keys.ts';

/** Reads what living senders told of their settings. Writes nothing. */
export class RedisLivingSettingsReader {
  readonly #connection: RedisConnection;
  readonly #prefix: string;

  /** @param prefix QUEUE_NAME */
  constructor(connection: RedisConnection, prefix: string) {
    this.#connection = connection;
    this.#prefix = prefix;
  }

  /**
   * The settings of all living senders but one, as the version that each of them is wrote them.
   * @param senderId the one that asks
   * @throws ServerUnavailableError
   */
  async readOthers(senderId: string): Promise<readonly object[]> {
    const { redis } = this.#connection.session();
    const { alive, senders } = redisKeysOf(this.#prefix);
    try {
      const [second] = await redis.time();
      const living = await redis.zrangebyscore(alive, Number(second) - SIGN_OF_LIFE_SECONDS, '+inf');
      const others = living.filter((id) => id !== senderId);
      const told = others.length === 0 ? [] : await redis.hmget(senders, ...others);
      return told.flatMap((text) => readSettings(text) ?? []);
    } catch (error) {
      throw new ServerUnavailableError(`Redis did not answer: ${describeError(error)}`, {
        isRefusal: false,
        cause: error,
      });
    }
  }
}

/** Undefined for a sender that has told nothing yet, or nothing that can be read. */
function readSettings(text: string | null): object | undefined {
  try {
    const value: unknown = JSON.parse(text ?? 'null');
    return typeof value === 'object' && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}
