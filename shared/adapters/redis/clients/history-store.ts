import { readFileSync } from 'node:fs';
import {
  HISTORY_SECONDS,
  type HistorySample,
  MAX_SAMPLE_BYTES,
  MAX_SAMPLES,
  readSample,
  SAMPLE_SECONDS,
} from '../../../domain/history.ts';
import type { HistoryStore } from '../../../ports/api/history-store.ts';
import type { RedisConnection } from '../connection.ts';
import { redisKeysOf } from '../keys.ts';

const KEEP = readFileSync(new URL('../lua/keep-sample.lua', import.meta.url), 'utf8');

/** Samples in one Redis list: 720 of some hundred bytes each, never more than 3 MB. */
export class RedisHistoryStore implements HistoryStore {
  readonly #connection: RedisConnection;
  readonly #key: string;

  /** @param prefix QUEUE_NAME */
  constructor(connection: RedisConnection, prefix: string) {
    this.#connection = connection;
    this.#key = redisKeysOf(prefix).history;
  }

  async keep(sample: HistorySample): Promise<boolean> {
    const text = JSON.stringify(sample);
    if (Buffer.byteLength(text) > MAX_SAMPLE_BYTES) return false;
    const args = [text, SAMPLE_SECONDS, MAX_SAMPLES, HISTORY_SECONDS];
    return (await this.#connection.ask(({ redis }) => redis.eval(KEEP, 1, this.#key, ...args))) === 1;
  }

  async read(): Promise<HistorySample[]> {
    const texts = await this.#connection.ask(({ redis }) => redis.lrange(this.#key, 0, MAX_SAMPLES - 1));
    // The time of Redis stands before the text.
    return texts.reverse().flatMap((text) => readSample(text.slice(text.indexOf(' ') + 1)) ?? []);
  }
}
