import type { ObjectStore } from '../../../shared/ports/object-store.ts';
import { letRun } from '../manual-clock.ts';

/** Objects in memory, for rounds by the hundred. */
export class MemoryObjectStore implements ObjectStore {
  readonly #bodies = new Map<string, Buffer>();

  async put(key: string, body: Buffer): Promise<void> {
    await letRun();
    this.#bodies.set(key, Buffer.from(body));
  }

  async get(key: string): Promise<Buffer | undefined> {
    await letRun();
    return this.#bodies.get(key);
  }

  async *list(prefix: string, after = ''): AsyncIterable<string> {
    await letRun();
    yield* [...this.#bodies.keys()].filter((key) => key.startsWith(prefix) && key > after).sort();
  }
}
