import { CountersLostError } from '../../../errors.ts';
import type { RedisConnection } from '../connection.ts';
import { redisKeysOf } from '../keys.ts';
import { stateIn } from '../sms-text.ts';

const IDS_PER_CALL = 1_000;

/** Tells which SMS Redis knows. An SMS that is not known was never met, because a Redis that lost something says so. */
export class RedisRedrivenSmsReader {
  readonly #connection: RedisConnection;
  readonly #keys: ReturnType<typeof redisKeysOf>;

  /** @param prefix QUEUE_NAME */
  constructor(connection: RedisConnection, prefix: string) {
    this.#connection = connection;
    this.#keys = redisKeysOf(prefix);
  }

  /**
   * `in progress`, the status of the outcome, or undefined for an SMS that nobody has met.
   * @throws ServerUnavailableError, or CountersLostError where Redis lost what it knew and it is not read back from S3
   */
  async statesOf(smsIds: readonly string[]): Promise<(string | undefined)[]> {
    const states: (string | undefined)[] = [];
    for (let first = 0; first < smsIds.length; first += IDS_PER_CALL) {
      const keys = smsIds.slice(first, first + IDS_PER_CALL).map(this.#keys.sms);
      const [own, [generation, ...texts]] = await this.#connection.ask(async (session) => [
        session.generation,
        await session.redis.mget(this.#keys.generation, ...keys),
      ]);
      if (generation !== own) throw new CountersLostError();
      states.push(...texts.map((text) => (text == null ? undefined : stateIn(text))));
    }
    return states;
  }
}
