import { SeenNumbers } from '../../shared/domain/seen-numbers.ts';
import { smsIdOf, smsNumberOf } from '../../shared/domain/sms/sms.ts';

export interface MissingIds {
  readonly count: number;
  readonly firstIds: readonly string[];
}

/**
 * Every SMS id that was read, so that duplicates are found and missing ones can be named. Nothing is rounded: an id
 * is known or it is not. Ids `<run>-<number>` are kept as numbers: a bit each where they follow one another, some 20
 * bytes where they lie scattered. Other ids are kept as they are.
 */
export class SeenIds {
  /** Some clients give each SMS a run of its own: a run with a single id is kept as that number alone. */
  readonly #numbersOfRun = new Map<string, number | SeenNumbers>();
  readonly #others = new Map<string, Set<string>>();

  /** True where the id was not there before. An id is one SMS, whatever run its record names. */
  add(smsId: string): boolean {
    const run = smsId.slice(0, Math.max(smsId.lastIndexOf('-'), 0));
    const smsNumber = smsNumberOf(run, smsId);
    return smsNumber === undefined ? this.#addOther(smsId) : this.#addNumber(run, smsNumber);
  }

  has(smsId: string): boolean {
    const run = smsId.slice(0, Math.max(smsId.lastIndexOf('-'), 0));
    const smsNumber = smsNumberOf(run, smsId);
    if (smsNumber === undefined) return this.#others.get(smsId.slice(-2))?.has(smsId) ?? false;
    const known = this.#numbersOfRun.get(run);
    return typeof known === 'number' ? known === smsNumber : (known?.has(smsNumber) ?? false);
  }

  /** Of the ids numbered from 1 to the last one, how many were not added, and the first of them. */
  findMissing(run: string, lastNumber: number, maxNamed: number): MissingIds {
    const numbers = asNumbers(this.#numbersOfRun.get(run));
    const count = lastNumber - numbers.countUpTo(lastNumber);
    const firstIds: string[] = [];
    const mostToName = Math.min(count, maxNamed);
    for (let smsNumber = 1; firstIds.length < mostToName; smsNumber += 1) {
      if (!numbers.has(smsNumber)) firstIds.push(smsIdOf(run, smsNumber));
    }
    return { count, firstIds };
  }

  #addNumber(run: string, smsNumber: number): boolean {
    const known = this.#numbersOfRun.get(run);
    if (known === smsNumber) return false;
    if (known === undefined) {
      this.#numbersOfRun.set(run, smsNumber);
      return true;
    }
    if (typeof known !== 'number') return known.add(smsNumber);
    const numbers = asNumbers(known);
    this.#numbersOfRun.set(run, numbers);
    return numbers.add(smsNumber);
  }

  // Several Sets, by the last two characters: one Set takes 16.7 million entries at most.
  #addOther(smsId: string): boolean {
    const shard = smsId.slice(-2);
    const ids = this.#others.get(shard) ?? new Set<string>();
    this.#others.set(shard, ids);
    if (ids.has(smsId)) return false;
    ids.add(smsId);
    return true;
  }
}

function asNumbers(known: number | SeenNumbers | undefined): SeenNumbers {
  if (known instanceof SeenNumbers) return known;
  const numbers = new SeenNumbers();
  if (known !== undefined) numbers.add(known);
  return numbers;
}
