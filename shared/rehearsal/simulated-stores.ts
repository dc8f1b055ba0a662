import { objectIdOfKey } from '../domain/outcome/outcome-object.ts';
import { ServerUnavailableError } from '../errors.ts';
import type { CounterStore } from '../ports/counter-store.ts';
import type { ObjectStore } from '../ports/object-store.ts';
import type { StartMarks } from '../ports/start-marks.ts';
import type { MemoryCounters } from './memory-counters.ts';
import type { Fate, ProcessLife } from './network.ts';

export type StoreName = 'S3' | 'Redis';

/** What becomes of a call to a store beyond what the network does; undefined: nothing. */
export interface StoreTroubles {
  fateOf(life: ProcessLife, store: StoreName, operation: string, key?: string): Fate | undefined;
}

const KEYS_PER_PAGE = 3;

/** S3 as processes reach it, through a network that loses and delays. */
export class SimulatedObjects {
  readonly #troubles: StoreTroubles;
  readonly bodies = new Map<string, Buffer>();
  /** Outcome objects that were put again with other bytes: never allowed. */
  readonly rewrittenKeys: string[] = [];
  /** Ids of objects that arrived after the process that had put them was dead. */
  readonly posthumousIds = new Set<string>();
  /** When each object first came to lie here, milliseconds since the world began. */
  readonly storedAtMs = new Map<string, number>();
  isAway = false;

  constructor(troubles: StoreTroubles) {
    this.#troubles = troubles;
  }

  store(life: ProcessLife): ObjectStore {
    const call = <Value>(operation: string, key: string, carryOut: () => Value) => {
      const fate = this.#fate(life, operation, key);
      return life.call(`${operation}s ${key}`, fate, carryOut, () => awayError('S3', fate));
    };
    return {
      put: (key, body) => call('put', key, () => this.#put(life, key, body)),
      get: (key) => call('get', key, () => this.bodies.get(key)),
      list: (prefix) => this.#list((after) => call('list', prefix, () => this.#keysAfter(prefix, after))),
    };
  }

  #fate(life: ProcessLife, operation: string, key: string): Fate {
    if (this.isAway) return 'refused';
    return this.#troubles.fateOf(life, 'S3', operation, key) ?? life.network.storeFate();
  }

  #put(life: ProcessLife, key: string, body: Buffer): void {
    const known = this.bodies.get(key);
    const objectId = objectIdOfKey(key);
    if (objectId !== undefined && known !== undefined && !known.equals(body)) this.rewrittenKeys.push(key);
    if (objectId !== undefined && known === undefined && life.isDead) this.posthumousIds.add(objectId);
    this.bodies.set(key, body);
    if (known === undefined) this.storedAtMs.set(key, life.network.time.nowMs);
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

/** Redis as processes reach it. */
export class SimulatedCounters {
  readonly memory: MemoryCounters;
  readonly #troubles: StoreTroubles;
  /** By SMS id. */
  readonly #unendedStarts = new Map<string, number>();
  isAway = false;

  constructor(memory: MemoryCounters, troubles: StoreTroubles) {
    this.memory = memory;
    this.#troubles = troubles;
  }

  store(life: ProcessLife): CounterStore {
    return this.memory.store(life.id, (script, run) => this.#call(life, script, run));
  }

  /** The marks of suspects, in the same Redis. */
  marks(life: ProcessLife): StartMarks {
    const starts = this.#unendedStarts;
    return {
      unendedStarts: (smsId) => this.#call(life, 'marks?', () => starts.get(smsId) ?? 0),
      begin: (smsId) => this.#call(life, 'mark', () => void starts.set(smsId, (starts.get(smsId) ?? 0) + 1)),
      end: (smsId) => this.#call(life, 'unmark', () => void starts.delete(smsId)),
    };
  }

  #call<Value>(life: ProcessLife, script: string, run: () => Value): Promise<Value> {
    const fate = this.#fate(life, script);
    return life.call(script, fate, run, () => awayError('Redis', fate));
  }

  #fate(life: ProcessLife, script: string): Fate {
    if (this.isAway) return 'refused';
    return this.#troubles.fateOf(life, 'Redis', script) ?? life.network.storeFate();
  }
}

function awayError(store: StoreName, fate: Fate): Error {
  const isRefusal = fate === 'denied';
  return new ServerUnavailableError(`${store} ${isRefusal ? 'refused us' : 'did not answer'}`, { isRefusal });
}
