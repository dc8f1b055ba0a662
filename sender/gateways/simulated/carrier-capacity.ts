import type { Clock } from '../../../shared/ports/clock.ts';

/**
 * A carrier tells the moment when this share of its bucket is full again. Senders that come back by a ramp leave the bucket to
 * fill up further, and what does not fit into the bucket is lost.
 */
const TOLD_SHARE = 0.1;

/** How many SMS a simulated carrier takes. */
export interface CarrierCapacity {
  /** Takes the place of one SMS. @returns 0 where there was one, else the milliseconds until there are enough again */
  takePlace(): Promise<number>;
}

/** A bucket in memory that holds what the carrier takes within a second, at least one SMS, and fills up steadily. */
export class OwnCapacity implements CarrierCapacity {
  readonly #perSecond: () => number;
  readonly #clock: Clock;
  #left = Number.POSITIVE_INFINITY;
  #atMs: number;

  /** @param perSecond SMS; above 0 */
  constructor(perSecond: () => number, clock: Clock) {
    this.#perSecond = perSecond;
    this.#clock = clock;
    this.#atMs = clock.nowMs();
  }

  async takePlace(): Promise<number> {
    const perSecond = this.#perSecond();
    const size = Math.max(1, perSecond);
    const nowMs = this.#clock.nowMs();
    this.#left = Math.min(size, this.#left + (Math.max(0, nowMs - this.#atMs) / 1_000) * perSecond);
    this.#atMs = nowMs;
    if (this.#left >= 1) {
      this.#left -= 1;
      return 0;
    }
    return Math.ceil(((Math.max(1, size * TOLD_SHARE) - this.#left) / perSecond) * 1_000);
  }
}

export interface SharedCapacityOptions {
  /** SMS, over all senders; above 0. */
  readonly smsPerSecond: number;
  /** The bucket of all senders. */
  readonly takePlace: (smsPerSecond: number) => Promise<number>;
  /** Senders that live, this one included. */
  readonly senderCount: () => number;
  readonly clock: Clock;
}

const ASK_AGAIN_MS = 1_000;

/** The capacity that all senders share. While nobody knows of the others, this sender takes its part of it. */
export class SharedCapacity implements CarrierCapacity {
  readonly #options: SharedCapacityOptions;
  readonly #own: OwnCapacity;
  #askAgainAtMs = 0;

  constructor(options: SharedCapacityOptions) {
    this.#options = options;
    const { smsPerSecond, senderCount, clock } = options;
    this.#own = new OwnCapacity(() => smsPerSecond / Math.max(1, senderCount()), clock);
  }

  async takePlace(): Promise<number> {
    const { smsPerSecond, takePlace, clock } = this.#options;
    if (clock.nowMs() < this.#askAgainAtMs) return this.#own.takePlace();
    try {
      return await takePlace(smsPerSecond);
    } catch {
      this.#askAgainAtMs = clock.nowMs() + ASK_AGAIN_MS;
      return this.#own.takePlace();
    }
  }
}
