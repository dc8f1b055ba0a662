import type { Digest } from '../../../shared/domain/sms/parking.ts';

// Two generations of 16 bytes a slot, half full at most: 33 MB.
const OUTCOMES_PER_GENERATION = 2 ** 19;
const FIRST_SLOTS = 2 ** 10;
const WORDS_PER_FINGERPRINT = 2;

/**
 * The last outcomes that were read, half a million to a million of them, by 64-bit fingerprints of their identities,
 * with the time when each finished. They tell the raw duplicates among outcomes that have no key in Redis. Two records
 * of one SMS stem from a crash and lie seconds to minutes apart, while a million outcomes are an hour at 280 SMS/s;
 * records that lie further apart are counted as two SMS. Two different identities are taken for one once in 10^13.
 */
export class SeenOutcomes {
  readonly #digest: Digest;
  readonly #keepTimeMs: number;
  readonly #outcomesPerGeneration: number;
  #current = new FingerprintTable();
  #previous = new FingerprintTable();

  /**
   * @param keepTimeMs KEEP_TIME: an identity that finished more than this apart is another SMS
   * @param outcomesPerGeneration fewer only where a test shows what lies too far apart
   */
  constructor(digest: Digest, keepTimeMs: number, outcomesPerGeneration = OUTCOMES_PER_GENERATION) {
    this.#digest = digest;
    this.#keepTimeMs = keepTimeMs;
    this.#outcomesPerGeneration = outcomesPerGeneration;
  }

  /**
   * Whether the first record of an SMS was summed, or kept with a key of its own. `new` where this record is the first
   * one: it is remembered then, with what becomes of it.
   */
  meet(identity: string, finishedAtMs: number, place: 'summed' | 'kept'): 'new' | 'summed' | 'kept' {
    const fingerprint = this.#digest(identity);
    const high = Number.parseInt(fingerprint.slice(0, 8), 16);
    const low = Number.parseInt(fingerprint.slice(8, 16), 16);
    const known = this.#current.get(high, low) || this.#previous.get(high, low);
    if (known !== 0 && Math.abs(Math.abs(known) - finishedAtMs) <= this.#keepTimeMs)
      return known < 0 ? 'summed' : 'kept';
    if (this.#current.size >= this.#outcomesPerGeneration) {
      this.#previous = this.#current;
      this.#current = new FingerprintTable();
    }
    const value = Math.max(1, finishedAtMs);
    this.#current.set(high, low, place === 'summed' ? -value : value);
    return 'new';
  }
}

/** Numbers by fingerprint: a hash table with open addressing in typed arrays, which doubles when it is half full. */
class FingerprintTable {
  #words = new Uint32Array(FIRST_SLOTS * WORDS_PER_FINGERPRINT);
  /** 0: the slot is empty. */
  #values = new Float64Array(FIRST_SLOTS);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** 0 where there is none. */
  get(high: number, low: number): number {
    return this.#values[this.#slotOf(high, low)] ?? 0;
  }

  set(high: number, low: number, value: number): void {
    if (this.#size * 2 >= this.#values.length) this.#grow();
    const slot = this.#slotOf(high, low);
    if (this.#values[slot] === 0) this.#size += 1;
    this.#words[slot * WORDS_PER_FINGERPRINT] = high;
    this.#words[slot * WORDS_PER_FINGERPRINT + 1] = low;
    this.#values[slot] = value;
  }

  /** Where the fingerprint is, or would be. */
  #slotOf(high: number, low: number): number {
    const mask = this.#values.length - 1;
    let slot = low & mask;
    while (this.#values[slot] !== 0) {
      const word = slot * WORDS_PER_FINGERPRINT;
      if (this.#words[word] === high && this.#words[word + 1] === low) break;
      slot = (slot + 1) & mask;
    }
    return slot;
  }

  #grow(): void {
    const [words, values] = [this.#words, this.#values];
    this.#words = new Uint32Array(words.length * 2);
    this.#values = new Float64Array(values.length * 2);
    this.#size = 0;
    for (const [slot, value] of values.entries()) {
      const word = slot * WORDS_PER_FINGERPRINT;
      if (value !== 0) this.set(words[word] ?? 0, words[word + 1] ?? 0, value);
    }
  }
}
