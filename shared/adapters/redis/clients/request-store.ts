/** What Redis remembers of requests to the API: which SMS each became, and what was asked for. */
import { readFileSync } from 'node:fs';
import type { ClaimAnswer, RequestClaim, RequestStore } from '../../../ports/api/request-store.ts';
import type { RedisConnection } from '../connection.ts';
import { redisKeysOf } from '../keys.ts';

const CLAIM = readFileSync(new URL('../lua/claim-request.lua', import.meta.url), 'utf8');
const END_CLAIM = readFileSync(new URL('../lua/end-claim.lua', import.meta.url), 'utf8');
/** Longer than any client waits for the confirm. */
const HOLD_SECONDS = 30;

export class RedisRequestStore implements RequestStore {
  readonly #connection: RedisConnection;
  readonly #keys: ReturnType<typeof redisKeysOf>;
  readonly #owner: string;

  /** @param prefix QUEUE_NAME @param owner a text that no other process has */
  constructor(connection: RedisConnection, prefix: string, owner: string) {
    this.#connection = connection;
    this.#keys = redisKeysOf(prefix);
    this.#owner = owner;
  }

  claim(
    { name, digest, smsId, told, contentDigest }: RequestClaim,
    keepSeconds: number,
  ): Promise<{ readonly answer: ClaimAnswer; readonly smsId: string }> {
    const keys = [
      this.#keys.request(name),
      contentDigest === '' ? this.#keys.request(name) : this.#keys.sms(smsId),
    ];
    const smsPrefix = this.#keys.sms('');
    const args = [digest, smsId, HOLD_SECONDS, keepSeconds, this.#owner, told, contentDigest, smsPrefix];
    return this.#connection.ask(async ({ redis }) => {
      const [answer, itsId] = (await redis.eval(CLAIM, keys.length, ...keys, ...args)) as [
        ClaimAnswer,
        string,
      ];
      return { answer, smsId: itsId };
    });
  }

  async finish({ name, digest, smsId, told }: RequestClaim, keepSeconds: number): Promise<void> {
    const value = ['d', digest, smsId, '', '', told].join('|');
    await this.#connection.ask(({ redis }) => redis.set(this.#keys.request(name), value, 'EX', keepSeconds));
  }

  letGo(claim: RequestClaim): Promise<void> {
    return this.#endClaim(claim, 'let go');
  }

  release(claim: RequestClaim): Promise<void> {
    return this.#endClaim(claim, 'release');
  }

  async #endClaim({ name, smsId }: RequestClaim, how: 'let go' | 'release'): Promise<void> {
    await this.#connection.ask(({ redis }) =>
      redis.eval(END_CLAIM, 1, this.#keys.request(name), this.#owner, smsId, how),
    );
  }
}
