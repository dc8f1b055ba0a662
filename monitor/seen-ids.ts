import { smsIdOf, smsNumberOf } from '../shared/domain/sms.ts';

const BITS_PER_CHUNK = 4_096;

export interface MissingIds {
  readonly count: number;
  readonly firstIds: readonly string[];
}

/**
 * Every SMS id that was read, so that duplicates are found and missing ones can be named. Ids `<run>-<number>` are
 * bits, 10 million of them in little over a megabyte; in chunks, so that one high number costs one chunk and not
 * all below it. Other ids are kept as they are.
 */
export class SeenIds {
  readonly #chunksOfRun = new Map<string, Map<number, Uint8Array>>();
  readonly #others = new Map<string, Set<string>>();

  /** True where the id was not there before. The run is not asked for: an id is one SMS, whoever claims it. */
  add(smsId: string): boolean {
    const run = smsId.slice(0, Math.max(smsId.lastIndexOf('-'), 0));
    const smsNumber = smsNumberOf(run, smsId);
    return smsNumber === undefined ? this.#addOther(smsId) : this.#addNumber(run, smsNumber);
  }

  /** Of the ids numbered from 1 to the last one, how many were not added, and the first of them. */
  findMissing(run: string, lastNumber: number, maxNamed: number): MissingIds {
    const count = lastNumber - this.#countUpTo(run, lastNumber);
    const firstIds: string[] = [];
    const mostToName = Math.min(count, maxNamed);
    for (let smsNumber = 1; firstIds.length < mostToName; smsNumber += 1) {
      if (!this.#hasNumber(run, smsNumber)) firstIds.push(smsIdOf(run, smsNumber));
    }
    return { count, firstIds };
  }

  // By what is there, not by what might be: an announcement of 2^53 SMS must not take a year.
  #countUpTo(run: string, lastNumber: number): number {
    let count = 0;
    for (const [chunkNumber, chunk] of this.#chunksOfRun.get(run) ?? []) {
      const firstNumber = chunkNumber * BITS_PER_CHUNK;
      for (const [index, byte] of chunk.entries()) {
        for (let bits = byte, smsNumber = firstNumber + index * 8; bits > 0; bits >>= 1, smsNumber += 1) {
          if ((bits & 1) === 1 && smsNumber <= lastNumber) count += 1;
        }
      }
    }
    return count;
  }

  #hasNumber(run: string, smsNumber: number): boolean {
    const chunk = this.#chunksOfRun.get(run)?.get(Math.floor(smsNumber / BITS_PER_CHUNK));
    const byte = chunk?.[(smsNumber % BITS_PER_CHUNK) >> 3] ?? 0;
    return (byte & (1 << (smsNumber & 7))) !== 0;
  }

  #addNumber(run: string, smsNumber: number): boolean {
    const chunk = this.#chunkOf(run, Math.floor(smsNumber / BITS_PER_CHUNK));
    const index = (smsNumber % BITS_PER_CHUNK) >> 3;
    const bit = 1 << (smsNumber & 7);
    const byte = chunk[index] ?? 0;
    chunk[index] = byte | bit;
    return (byte & bit) === 0;
  }

  #chunkOf(run: string, chunkNumber: number): Uint8Array {
    const chunks = this.#chunksOfRun.get(run) ?? new Map<number, Uint8Array>();
    this.#chunksOfRun.set(run, chunks);
    const chunk = chunks.get(chunkNumber) ?? new Uint8Array(BITS_PER_CHUNK / 8);
    chunks.set(chunkNumber, chunk);
    return chunk;
  }

  // Several Sets, by the last two characters: a single one ends at 16.7 million entries.
  #addOther(smsId: string): boolean {
    const shard = smsId.slice(-2);
    const ids = this.#others.get(shard) ?? new Set<string>();
    this.#others.set(shard, ids);
    if (ids.has(smsId)) return false;
    ids.add(smsId);
    return true;
  }
}
