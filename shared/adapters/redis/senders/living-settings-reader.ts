import type { RedisConnection } from '../connection.ts';
import { redisKeysOf, SILENT_AFTER_SECONDS } from '../keys.ts';

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
   * The settings of all living senders but one, each as the version of that sender wrote them.
   * @param senderId the one that asks
   * @throws ServerUnavailableError
   */
  async readOthers(senderId: string): Promise<readonly object[]> {
    const { alive, senders } = redisKeysOf(this.#prefix);
    const told = await this.#connection.ask(async ({ redis }) => {
      const [second] = await redis.time();
      const living = await redis.zrangebyscore(alive, Number(second) - SILENT_AFTER_SECONDS, '+inf');
      const others = living.filter((id) => id !== senderId);
      return others.length === 0 ? [] : redis.hmget(senders, ...others);
    });
    return told.flatMap((text) => readSettings(text) ?? []);
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
