/**
 * The ids of an input, and the line that each was on first: 10 million of them in less than 150 MB.
 *
 * An id is known by a fingerprint of 81 bits: 17 choose its bucket, 64 are kept beside its line. Each character at each
 * place has random bits of this process, and a fingerprint is the exclusive or of those of its characters. So two
 * different ids agree with a chance of 2^-81, whatever they look like and whoever made them up. Among 10 million ids one
 * pair agrees with a chance of less than 1 in 10^10; the second of them would be taken for a repeat, told by its line and not sent.
 *
 * A bucket is a chain of chunks, and chunks come from slabs that are never moved and never freed. So growing copies
 * nothing: a hash table that doubles would need three times the memory while it grows.
 */
import { randomFillSync } from 'node:crypto';

const MAX_ID_LENGTH = 128;
const CHARACTERS = 128;
const BUCKET_BITS = 17;
// 64 bits of the fingerprint, and the line.
const SLOT_WORDS = 3;
const SLOTS_PER_CHUNK = 8;
// The chunk before it in the chain comes first.
const CHUNK_WORDS = 1 + SLOTS_PER_CHUNK * SLOT_WORDS;
const SLAB_BITS = 13;
const CHUNKS_PER_SLAB = 1 << SLAB_BITS;
const MAX_LINE = 2 ** 32 - 1;

export class SeenIds {
  /** Three words for each character at each place. */
  readonly #randomWords = randomFillSync(new Uint32Array(MAX_ID_LENGTH * CHARACTERS * 3));
  /** The newest chunk of each bucket; only that one may have room. Chunk 0 is none. */
  readonly #newestChunks = new Uint32Array(1 << BUCKET_BITS);
  readonly #slabs: Uint32Array[] = [];
  #chunkCount = 1;

  /**
   * Keeps an id that is new. @param id an SMS id: at most 128 ASCII characters
   * @param lineNumber from 1
   * @returns the line it was kept with, where it is not new
   */
  meet(id: string, lineNumber: number): number | undefined {
    let [one, two, three] = [0, 0, 0];
    for (let place = 0; place < id.length; place += 1) {
      const word = 3 * (place * CHARACTERS + id.charCodeAt(place));
      one ^= this.#randomWords[word] as number;
      two ^= this.#randomWords[word + 1] as number;
      three ^= this.#randomWords[word + 2] as number;
    }
    const bucket = three >>> (32 - BUCKET_BITS);
    const known = this.#find(bucket, one >>> 0, two >>> 0);
    if (known === undefined) this.#keep(bucket, one, two, Math.min(lineNumber, MAX_LINE));
    return known;
  }

  #find(bucket: number, one: number, two: number): number | undefined {
    let chunk = this.#newestChunks[bucket] as number;
    while (chunk !== 0) {
      const slab = this.#slabOf(chunk);
      const start = startOf(chunk);
      for (let word = start + 1; word < start + CHUNK_WORDS; word += SLOT_WORDS) {
        if (slab[word] === one && slab[word + 1] === two && slab[word + 2] !== 0) return slab[word + 2];
      }
      chunk = slab[start] as number;
    }
    return undefined;
  }

  #keep(bucket: number, one: number, two: number, lineNumber: number): void {
    const newest = this.#newestChunks[bucket] as number;
    const chunk = newest !== 0 && this.#hasRoom(newest) ? newest : this.#addChunk(bucket, newest);
    const slab = this.#slabOf(chunk);
    let word = startOf(chunk) + 1;
    while (slab[word + 2] !== 0) word += SLOT_WORDS;
    slab[word] = one;
    slab[word + 1] = two;
    slab[word + 2] = lineNumber;
  }

  #hasRoom(chunk: number): boolean {
    return this.#slabOf(chunk)[startOf(chunk) + CHUNK_WORDS - 1] === 0;
  }

  #addChunk(bucket: number, before: number): number {
    const chunk = this.#chunkCount;
    this.#chunkCount += 1;
    if (chunk >>> SLAB_BITS === this.#slabs.length) {
      this.#slabs.push(new Uint32Array(CHUNKS_PER_SLAB * CHUNK_WORDS));
    }
    this.#slabOf(chunk)[startOf(chunk)] = before;
    this.#newestChunks[bucket] = chunk;
    return chunk;
  }

  #slabOf(chunk: number): Uint32Array {
    return this.#slabs[chunk >>> SLAB_BITS] as Uint32Array;
  }
}

/** Where a chunk begins in its slab. */
function startOf(chunk: number): number {
  return (chunk & (CHUNKS_PER_SLAB - 1)) * CHUNK_WORDS;
}
