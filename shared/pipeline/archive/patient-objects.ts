import { RedialError } from '../../errors.ts';
import type { ObjectStore } from '../../ports/object-store.ts';

/** What readers need of an object store. */
export type ReadableObjects = Pick<ObjectStore, 'get' | 'list'>;

/** Repeats a call as long as its caller is patient, then throws what the call threw. */
export type Repeat = <Value>(call: () => Promise<Value>) => Promise<Value>;

/** The same objects, with each call repeated that the store did not answer. A list goes on after its last key. */
export class PatientObjects implements ReadableObjects {
  readonly #objects: ReadableObjects;
  readonly #repeat: Repeat;

  constructor(objects: ReadableObjects, repeat: Repeat) {
    this.#objects = objects;
    this.#repeat = repeat;
  }

  get(key: string): Promise<Buffer | undefined> {
    return this.#repeat(() => this.#objects.get(key));
  }

  async *list(prefix: string): AsyncGenerator<string> {
    let lastKey: string | undefined;
    let keys: AsyncIterator<string> | undefined;
    const nextKey = async () => {
      keys ??= this.#objects.list(prefix, lastKey)[Symbol.asyncIterator]();
      try {
        return await keys.next();
      } catch (error) {
        keys = undefined;
        throw error;
      }
    };
    for (;;) {
      const next = await this.#repeat(nextKey);
      if (next.done === true) return;
      if (lastKey !== undefined && !isAfter(next.value, lastKey)) continue;
      lastKey = next.value;
      yield next.value;
    }
  }
}

// S3 orders keys by their UTF-8 bytes. JavaScript orders texts in another way beyond U+FFFF.
function isAfter(key: string, other: string): boolean {
  return key > other && Buffer.compare(Buffer.from(key), Buffer.from(other)) > 0;
}

/** True for the error of a store whose bucket does not exist (yet). */
export function isBucketMissing(error: unknown): boolean {
  return error instanceof RedialError && error.code === 'NO_BUCKET';
}
