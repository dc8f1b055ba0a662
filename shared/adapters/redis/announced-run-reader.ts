import { CountersLostError, describeError, ServerUnavailableError } from '../../errors.ts';
import type { AnnouncedRun, AnnouncedRunReader, Logger } from '../../ports.ts';
import { RedisConnection } from './connection.ts';
import { redisKeysOf } from './keys.ts';

export interface AnnouncedRunReaderOptions {
  /** Credentials included: never printed. */
  readonly url: string;
  /** QUEUE_NAME. */
  readonly prefix: string;
  /** How long Redis has to be reached, and again to answer. */
  readonly deadlineMs: number;
  readonly log: Logger;
}

/** Asks Redis once, over a connection of its own: the producer needs Redis for nothing else. Writes nothing. */
export class RedisAnnouncedRunReader implements AnnouncedRunReader {
  readonly #options: AnnouncedRunReaderOptions;

  constructor(options: AnnouncedRunReaderOptions) {
    this.#options = options;
  }

  async read(run: string): Promise<AnnouncedRun | undefined> {
    const { url, log, deadlineMs } = this.#options;
    const connection = new RedisConnection({ url, log, commandTimeoutMs: deadlineMs });
    try {
      await connection.open(deadlineMs);
      return await this.#ask(connection, run);
    } finally {
      connection.close();
    }
  }

  async #ask(connection: RedisConnection, run: string): Promise<AnnouncedRun | undefined> {
    const { redis, runId } = connection.session();
    const keys = redisKeysOf(this.#options.prefix);
    const [generation, fields] = await Promise.all([
      redis.get(keys.generation),
      redis.hmget(keys.run(run), 'announced', 'acceptedUpTo', 'input', 'hasInputConflict'),
    ]).catch((error: unknown) => {
      throw new ServerUnavailableError(`Redis did not answer: ${describeError(error)}`, {
        isRefusal: false,
        cause: error,
      });
    });
    if (generation !== runId) throw new CountersLostError();
    const [announced, acceptedUpTo, input, hasInputConflict] = fields;
    if (typeof announced !== 'string' || typeof input !== 'string') return undefined;
    return {
      announced: Number(announced),
      acceptedUpTo: Number(acceptedUpTo ?? 0),
      input,
      hasInputConflict: hasInputConflict === '1',
    };
  }
}
