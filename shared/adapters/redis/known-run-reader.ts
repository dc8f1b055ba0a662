import { CountersLostError } from '../../errors.ts';
import type { KnownRun, KnownRunReader } from '../../ports/known-run-reader.ts';
import type { Logger } from '../../ports/logger.ts';
import { type RedisAddress, RedisConnection } from './connection.ts';
import { redisKeysOf } from './keys.ts';

export interface KnownRunReaderOptions extends RedisAddress {
  /** QUEUE_NAME. */
  readonly prefix: string;
  /** How long Redis has to be reached, and again to answer. */
  readonly deadlineMs: number;
  readonly log: Logger;
}

const FIELDS = ['announced', 'acceptedUpTo', 'input', 'announcedAt', 'hasInputConflict', 'met'] as const;

/** Asks Redis once, over a connection of its own: the producer needs Redis for nothing else. Writes nothing. */
export class RedisKnownRunReader implements KnownRunReader {
  readonly #options: KnownRunReaderOptions;

  constructor(options: KnownRunReaderOptions) {
    this.#options = options;
  }

  async read(run: string): Promise<KnownRun> {
    const { url, trust, log, deadlineMs } = this.#options;
    const connection = new RedisConnection({ url, trust, log, commandTimeoutMs: deadlineMs });
    try {
      await connection.open(deadlineMs);
      return await this.#ask(connection, run);
    } finally {
      connection.close();
    }
  }

  async #ask(connection: RedisConnection, run: string): Promise<KnownRun> {
    const keys = redisKeysOf(this.#options.prefix);
    const [ownGeneration, generation, fields] = await connection.ask((session) =>
      Promise.all([
        session.generation,
        session.redis.get(keys.generation),
        session.redis.hmget(keys.run(run), ...FIELDS),
      ]),
    );
    if (generation !== ownGeneration) throw new CountersLostError();
    const [announced, acceptedUpTo, input, announcedAt, hasInputConflict, met] = fields;
    return {
      announced: Number(announced ?? 0),
      acceptedUpTo: Number(acceptedUpTo ?? 0),
      input: input ?? undefined,
      announcedAtSeconds: announcedAt == null ? undefined : Number(announcedAt),
      hasInputConflict: hasInputConflict === '1',
      met: Number(met ?? 0),
    };
  }
}
