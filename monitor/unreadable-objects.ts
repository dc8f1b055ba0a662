const MAX_NAMED = 1_000;

/** Objects that hold something we cannot believe: counted, and the first ones named. */
export class UnreadableObjects {
  readonly #keys: string[] = [];
  #count = 0;
  #firstReason = '';

  add(key: string, reason: string): void {
    if (this.#count === 0) this.#firstReason = reason;
    this.#count += 1;
    if (this.#keys.length < MAX_NAMED) this.#keys.push(key);
  }

  get count(): number {
    return this.#count;
  }

  get keys(): readonly string[] {
    return this.#keys;
  }

  get firstReason(): string {
    return this.#firstReason;
  }
}
