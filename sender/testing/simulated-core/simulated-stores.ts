import { objectIdOfKey } from '../../../shared/domain/outcome-object.ts';
import { ServerUnavailableError } from '../../../shared/errors.ts';
import type { CounterStore, ObjectStore, StartMarks } from '../../../shared/ports.ts';
import type { MemoryCounters } from '../../../shared/testing/memory-counter-store.ts';
import type { Fate, ProcessLife } from './network.ts';

const KEYS_PER_PAGE = 3;

/** S3, reached through a network that loses and delays. */
export class SimulatedObjects {
  readonly bodies = new Map<string, Buffer>();
  /** Outcome objects that were put again with other bytes: never allowed. */
  readonly rewrittenKeys: string[] = [];
  /** Objects that first came to lie here when the process that had put them was dead. */
  readonly posthumousIds = new Set<string>();
  isAway = false;

  store(life: ProcessLife): ObjectStore {
    const call = <Value>(name: string, carryOut: () => Value) =>
      life.call(name, this.#fate(life), carryOut, () => awayError('S3'));
    return {
      put: (key, body) => call(`puts ${key}`, () => this.#put(life, key, body)),
      get: (key) => call(`gets ${key}`, () => this.bodies.get(key)),
      list: (prefix) => this.#list((after) => call(`lists ${prefix}`, () => this.#keysAfter(prefix, after))),
    };
  }

  #fate(life: ProcessLife): Fate {
    return this.isAway ? 'refused' : life.network.storeFate();
  }

  #put(life: ProcessLife, key: string, body: Buffer): void {
    const known = this.bodies.get(key);
    const objectId = objectIdOfKey(key);
    if (objectId !== undefined && known !== undefined && !known.equals(body)) this.rewrittenKeys.push(key);
    if (objectId !== undefined && known === undefined && life.isDead) this.posthumousIds.add(objectId);
    this.bodies.set(key, body);
  }

  #keysAfter(prefix: string, after: string): string[] {
    return [...this.bodies.keys()]
      .filter((key) => key.startsWith(prefix) && key > after)
      .sort()
      .slice(0, KEYS_PER_PAGE);
  }

  async *#list(page: (after: string) => Promise<string[]>): AsyncIterable<string> {
    let keys = await page('');
    while (keys.length > 0) {
      yield* keys;
      keys = await page(keys.at(-1) ?? '');
    }
  }
}

/** Redis, reached in the same way. */
export class SimulatedCounters {
  readonly memory: MemoryCounters;
  isAway = false;

  constructor(memory: MemoryCounters) {
    this.memory = memory;
  }

  store(life: ProcessLife): CounterStore {
    return this.memory.store(life.id, (script, run) =>
      life.call(script, this.isAway ? 'refused' : life.network.storeFate(), run, () => awayError('Redis')),
    );
  }
}

/** The marks of suspicious SMS, in the same Redis. */
export class SimulatedMarks {
  /** Starts without an end, by SMS id. */
  readonly starts = new Map<string, number>();
  readonly #counters: SimulatedCounters;

  constructor(counters: SimulatedCounters) {
    this.#counters = counters;
  }

  of(life: ProcessLife): StartMarks {
    const call = <Value>(name: string, run: () => Value) =>
      life.call(name, this.#counters.isAway ? 'refused' : life.network.storeFate(), run, () =>
        awayError('Redis'),
      );
    const { starts } = this;
    return {
      unendedStarts: (smsId) => call('marks?', () => starts.get(smsId) ?? 0),
      begin: (smsId) => call('mark', () => void starts.set(smsId, (starts.get(smsId) ?? 0) + 1)),
      end: (smsId) => call('unmark', () => void starts.delete(smsId)),
    };
  }
}

function awayError(store: string): Error {
  return new ServerUnavailableError(`${store} did not answer`, { isRefusal: false });
}
