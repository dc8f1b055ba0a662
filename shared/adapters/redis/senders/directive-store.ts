/**
 * Directives in Redis, each with a number. Senders read what is newer than the number they know, and tell that number.
 *
 * Whether Redis lost directives is told by its identity: its process and data (`generation`), and an epoch that whoever gives
 * the first directive chooses. Where the identity is another one, senders give again what they know.
 */
import { readFileSync } from 'node:fs';
import { type DirectivesRead, MAX_DIRECTIVES } from '../../../domain/sms/directive.ts';
import { describeError, UsageError } from '../../../errors.ts';
import type { RedisConnection, RedisSession } from '../connection.ts';
import { redisKeysOf } from '../keys.ts';
import { stateIn } from '../sms-text.ts';

// A sender tells its number once a second.
const ACKNOWLEDGED_FOR_SECONDS = 4;
const TEXTS_PER_CALL = 1_000;
const [GIVE, FORGET] = ['give-directives', 'forget-directives'].map((name) =>
  readFileSync(new URL(`../lua/${name}.lua`, import.meta.url), 'utf8'),
) as [string, string];

export class RedisDirectiveStore {
  readonly #connection: RedisConnection;
  readonly #prefix: string;
  readonly #keys: ReturnType<typeof redisKeysOf>;
  readonly #epoch: string;

  /** @param prefix QUEUE_NAME @param epoch a text that nobody else chooses */
  constructor(connection: RedisConnection, prefix: string, epoch: string) {
    this.#connection = connection;
    this.#prefix = prefix;
    this.#keys = redisKeysOf(prefix);
    this.#epoch = epoch;
  }

  /** @returns the number to wait for @throws ServerUnavailableError, UsageError where there would be too many */
  give(texts: readonly string[]): Promise<number> {
    return this.#give(texts, MAX_DIRECTIVES);
  }

  /** As `give`, without a limit: what was given once must not be lost. */
  giveAgain(texts: readonly string[]): Promise<number> {
    return this.#give(texts, Number.MAX_SAFE_INTEGER);
  }

  async #give(texts: readonly string[], most: number): Promise<number> {
    const { directives, directivesGiven, directivesHead } = this.#keys;
    let last = 0;
    for (let start = 0; start < texts.length; start += TEXTS_PER_CALL) {
      const part = texts.slice(start, start + TEXTS_PER_CALL);
      const args = [directives, directivesGiven, directivesHead, this.#epoch, most, ...part];
      last = Number(
        await this.#ask(async ({ redis }) => {
          try {
            return await redis.eval(GIVE, 3, ...args);
          } catch (error) {
            if (describeError(error).includes('TOO_MANY')) return -1;
            throw error;
          }
        }),
      );
      if (last < 0)
        throw new UsageError(
          `more than ${MAX_DIRECTIVES} directives at once: name fewer ids, a run, or wait until older ones are forgotten (KEEP_TIME)`,
        );
    }
    return last;
  }

  /** @throws ServerUnavailableError */
  read(above: number): Promise<DirectivesRead> {
    const { directives, directivesHead } = this.#keys;
    return this.#ask(async ({ redis, generation }) => {
      const replies = await redis
        .multi()
        .hmget(directivesHead, 'epoch', 'last')
        .zcard(directives)
        .zrangebyscore(directives, `(${above}`, '+inf')
        .time()
        .exec();
      const [head, count, texts, time] = (replies ?? []).map(([error, reply]) => {
        if (error !== null) throw error;
        return reply;
      }) as [[string | null, string | null], number, string[], [string | number, string | number]];
      const identity = `${generation} ${head[0] ?? ''}`;
      return { identity, last: Number(head[1] ?? 0), count, texts, second: Number(time[0]) };
    });
  }

  /** A sender knows all up to the number that it read. */
  async acknowledge(senderId: string, { last, second }: DirectivesRead): Promise<void> {
    await this.#ask(({ redis }) => redis.hset(this.#keys.directivesKnown, senderId, `${last}|${second}`));
  }

  /** A sender ends. */
  async leave(senderId: string): Promise<void> {
    await this.#ask(({ redis }) => redis.hdel(this.#keys.directivesKnown, senderId));
  }

  /** How many senders said within the last seconds that they know this number. */
  countKnowing(number: number): Promise<number> {
    return this.#ask(async ({ redis }) => {
      const [told, [second]] = await Promise.all([redis.hvals(this.#keys.directivesKnown), redis.time()]);
      return told.filter((text) => {
        const [known, at] = text.split('|').map(Number);
        return Number(known) >= number && Number(at) >= Number(second) - ACKNOWLEDGED_FOR_SECONDS;
      }).length;
    });
  }

  /** A sender has ended SMS for these directives. */
  async noteMet(texts: readonly string[]): Promise<void> {
    for (let start = 0; start < texts.length; start += TEXTS_PER_CALL) {
      const part = texts.slice(start, start + TEXTS_PER_CALL).flatMap((text) => [text, '1']);
      await this.#ask(({ redis }) => redis.hset(this.#keys.directivesMet, ...part));
    }
  }

  /** Which of them a sender has ended an SMS for. */
  async areMet(texts: readonly string[]): Promise<boolean[]> {
    if (texts.length === 0) return [];
    const met = await this.#ask(({ redis }) => redis.hmget(this.#keys.directivesMet, ...texts));
    return met.map((each) => each !== null);
  }

  /** What Redis knows of SMS: their phase and status, as lua/sms.lua tells them. */
  async statesOf(smsIds: readonly string[]): Promise<(string | undefined)[]> {
    if (smsIds.length === 0) return [];
    const texts = await this.#ask(({ redis }) => redis.mget(smsIds.map(this.#keys.sms)));
    return texts.map((text) => (text === null ? undefined : stateIn(text)));
  }

  /** Forgets directives whose SMS ended, `keepTimeMs` after they were given. */
  async forget(keepTimeMs: number): Promise<void> {
    const { directives, directivesGiven, directivesMet, directivesKnown } = this.#keys;
    const keys = [directives, directivesGiven, directivesMet, directivesKnown];
    const keepSeconds = Math.ceil(keepTimeMs / 1_000);
    for (let offset = 0; offset >= 0; ) {
      const args = [...keys, this.#prefix, keepSeconds, offset];
      offset = Number(await this.#ask(({ redis }) => redis.eval(FORGET, keys.length, ...args)));
    }
  }

  #ask<Value>(call: (session: RedisSession) => Promise<Value>): Promise<Value> {
    return this.#connection.ask(call);
  }
}
