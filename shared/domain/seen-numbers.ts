const BITS_PER_CHUNK = 4_096;
const BYTES_PER_CHUNK = BITS_PER_CHUNK / 8;
// Chunks may cost 8 bytes a number: one chunk for each 64 numbers.
const NUMBERS_PER_CHUNK = 64;
const FIRST_SLOTS = 8;

/**
 * A set of positive whole numbers up to 10^15, exact. Numbers that lie close together are bits, in chunks of 4,096.
 * Scattered numbers would take a chunk of 512 bytes each. So one chunk is made for each 64 numbers at most, and numbers
 * without a chunk are kept as they are, in some 20 bytes each.
 */
export class SeenNumbers {
  readonly #chunks = new Map<number, Uint8Array>();
  readonly #scattered = new NumberSet();
  #size = 0;

  /** True where the number was not there before. */
  add(number: number): boolean {
    if (this.has(number)) return false;
    this.#size += 1;
    const chunk = this.#chunkFor(Math.floor(number / BITS_PER_CHUNK));
    if (chunk === undefined) this.#scattered.add(number);
    else chunk[byteOf(number)] = (chunk[byteOf(number)] ?? 0) | bitOf(number);
    return true;
  }

  has(number: number): boolean {
    const chunk = this.#chunks.get(Math.floor(number / BITS_PER_CHUNK));
    if (chunk !== undefined && ((chunk[byteOf(number)] ?? 0) & bitOf(number)) !== 0) return true;
    return this.#scattered.has(number);
  }

  /** Takes time for the numbers that are there, not for all up to the last one: a run may announce 2^53 SMS. */
  countUpTo(lastNumber: number): number {
    let count = this.#scattered.countUpTo(lastNumber);
    for (const [chunkNumber, chunk] of this.#chunks) {
      const firstNumber = chunkNumber * BITS_PER_CHUNK;
      for (const [index, byte] of chunk.entries()) {
        for (let bits = byte, number = firstNumber + index * 8; bits > 0; bits >>= 1, number += 1) {
          if ((bits & 1) === 1 && number <= lastNumber) count += 1;
        }
      }
    }
    return count;
  }

  #chunkFor(chunkNumber: number): Uint8Array | undefined {
    const known = this.#chunks.get(chunkNumber);
    if (known !== undefined || this.#chunks.size >= this.#size / NUMBERS_PER_CHUNK) return known;
    const chunk = new Uint8Array(BYTES_PER_CHUNK);
    this.#chunks.set(chunkNumber, chunk);
    return chunk;
  }
}

function byteOf(number: number): number {
  return (number % BITS_PER_CHUNK) >> 3;
}

function bitOf(number: number): number {
  return 1 << (number % 8);
}

/** A hash table of numbers above 0 with open addressing, which doubles when it is three quarters full. */
class NumberSet {
  #slots = new Float64Array(FIRST_SLOTS);
  #size = 0;

  has(number: number): boolean {
    return this.#slots[this.#slotOf(number)] === number;
  }

  add(number: number): void {
    if ((this.#size + 1) * 4 > this.#slots.length * 3) this.#grow();
    this.#slots[this.#slotOf(number)] = number;
    this.#size += 1;
  }

  countUpTo(lastNumber: number): number {
    let count = 0;
    for (const number of this.#slots) if (number !== 0 && number <= lastNumber) count += 1;
    return count;
  }

  /** Where the number is, or would be. */
  #slotOf(number: number): number {
    const mask = this.#slots.length - 1;
    const mixed = Math.imul(
      (number % 2 ** 32) ^ Math.imul(Math.floor(number / 2 ** 32), 0x85ebca6b),
      0x9e3779b1,
    );
    let slot = (mixed ^ (mixed >>> 15)) & mask;
    while (this.#slots[slot] !== 0 && this.#slots[slot] !== number) slot = (slot + 1) & mask;
    return slot;
  }

  #grow(): void {
    const numbers = this.#slots;
    this.#slots = new Float64Array(numbers.length * 2);
    for (const number of numbers) if (number !== 0) this.#slots[this.#slotOf(number)] = number;
  }
}
