/**
 * Which SMS of a run RabbitMQ has confirmed. SMS are given to RabbitMQ in ascending order of their numbers, so all below
 * the first unconfirmed number are confirmed. Only unconfirmed numbers are remembered: no more than may be unconfirmed at
 * once, however many SMS lie above a gap.
 */
export class Acceptance {
  // A Set keeps insertion order, and numbers are inserted ascending: the first is the smallest.
  readonly #unconfirmed = new Set<number>();
  #acceptedCount = 0;
  #lastNumber: number;
  #firstMissing: number | undefined;

  /** @param resumeAfter the number up to which all were accepted before; 0 for a new run */
  constructor(resumeAfter = 0) {
    this.#lastNumber = resumeAfter;
  }

  /** SMS confirmed and not returned. */
  get acceptedCount(): number {
    return this.#acceptedCount;
  }

  get unconfirmedCount(): number {
    return this.#unconfirmed.size;
  }

  /** The highest number given to RabbitMQ. */
  get lastNumber(): number {
    return this.#lastNumber;
  }

  /** The highest number up to which all are accepted, without a gap. A bad line is no SMS, so it leaves no gap. */
  get acceptedUpTo(): number {
    const [firstUnconfirmed] = this.#unconfirmed;
    return Math.min(firstUnconfirmed ?? Infinity, this.#firstMissing ?? Infinity, this.#lastNumber + 1) - 1;
  }

  /** True where RabbitMQ was given the SMS and its fate is known. It may have been refused: then its client was told so. */
  isSettled(smsNumber: number): boolean {
    return smsNumber >= 1 && smsNumber <= this.#lastNumber && !this.#unconfirmed.has(smsNumber);
  }

  /** An SMS was given to RabbitMQ. Numbers ascend; one left out is a bad line. */
  gave(smsNumber: number): void {
    this.#lastNumber = smsNumber;
    this.#unconfirmed.add(smsNumber);
  }

  confirmed(smsNumber: number): void {
    this.#unconfirmed.delete(smsNumber);
    this.#acceptedCount += 1;
  }

  /** The SMS was not accepted, and its client was told so: as a bad line, it is no SMS of the run. */
  refused(smsNumber: number): void {
    this.#unconfirmed.delete(smsNumber);
  }

  /** The SMS will never be accepted. */
  abandoned(smsNumber: number): void {
    this.#unconfirmed.delete(smsNumber);
    this.#firstMissing = Math.min(this.#firstMissing ?? Infinity, smsNumber);
  }
}
