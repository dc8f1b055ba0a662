import { RedialError, ServerUnavailableError } from '../shared/errors.ts';
import type { Clock, ObjectStore } from '../shared/ports.ts';
import { pause } from './answer.ts';

const TRIES = 5;
const FIRST_PAUSE_MS = 250;

/** What the audit needs of an object store: it only reads. */
export type ReadableObjects = Pick<ObjectStore, 'get' | 'list'>;

/**
 * Repeats what a store did not answer, four times within about four seconds: one 503 among thousands of objects
 * must not end an audit. What it refused is not repeated.
 */
export class PatientObjects implements ReadableObjects {
  readonly #objects: ReadableObjects;
  readonly #clock: Clock;

  constructor(objects: ReadableObjects, clock: Clock) {
    this.#objects = objects;
    this.#clock = clock;
  }

  async get(key: string): Promise<Buffer | undefined> {
    for (let tried = 1; ; tried += 1) {
      try {
        return await this.#objects.get(key);
      } catch (error) {
        await this.#pauseOrThrow(tried, error);
      }
    }
  }

  /** Goes on after the last key when a page did not come. */
  async *list(prefix: string): AsyncGenerator<string> {
    let lastKey: string | undefined;
    let resumeAfter: string | undefined;
    for (let tried = 1; ; tried += 1) {
      try {
        for await (const key of this.#objects.list(prefix)) {
          if (resumeAfter !== undefined && !isAfter(key, resumeAfter)) continue;
          lastKey = key;
          tried = 1;
          yield key;
        }
        return;
      } catch (error) {
        await this.#pauseOrThrow(tried, error);
        resumeAfter = lastKey;
      }
    }
  }

  async #pauseOrThrow(tried: number, error: unknown): Promise<void> {
    const isWorthRepeating = error instanceof ServerUnavailableError && !error.isRefusal;
    if (!isWorthRepeating || tried >= TRIES) throw error;
    await pause(this.#clock, FIRST_PAUSE_MS * 2 ** (tried - 1));
  }
}

// In the order of S3, which is that of the UTF-8 bytes.
function isAfter(key: string, other: string): boolean {
  return Buffer.compare(Buffer.from(key), Buffer.from(other)) > 0;
}

/** True for the error of a store whose bucket does not exist (yet). */
export function isBucketMissing(error: unknown): boolean {
  return error instanceof RedialError && error.code === 'NO_BUCKET';
}
