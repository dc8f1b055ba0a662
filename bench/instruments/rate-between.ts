/** The rate at which a count that is looked at now and then grows between two of its values. */
export class RateBetween {
  readonly #from: number;
  readonly #to: number;
  #first: { readonly count: number; readonly atMs: number } | undefined;
  #last: { readonly count: number; readonly atMs: number } | undefined;

  constructor(from: number, to: number) {
    this.#from = from;
    this.#to = to;
  }

  saw(count: number, atMs: number): void {
    if (count < this.#from || count > this.#to || count === this.#last?.count) return;
    this.#first ??= { count, atMs };
    this.#last = { count, atMs };
  }

  /** 0 where it was not seen growing. */
  get perSecond(): number {
    const elapsedMs = (this.#last?.atMs ?? 0) - (this.#first?.atMs ?? 0);
    return elapsedMs === 0 ? 0 : (((this.#last?.count ?? 0) - (this.#first?.count ?? 0)) * 1_000) / elapsedMs;
  }
}
