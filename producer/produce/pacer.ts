// After a stall at most this much is caught up in one burst.
const MAX_CATCH_UP_MS = 1_000;

/** Paces SMS evenly: the nth is due at start + (n − 1) / rate, measured from the start so that no error adds up. */
export class Pacer {
  readonly #msPerSms: number;
  #startMs: number;
  #lastSeenMs: number;
  #takenCount = 0;

  constructor(smsPerSecond: number, startMs: number) {
    this.#msPerSms = 1_000 / smsPerSecond;
    this.#startMs = startMs;
    this.#lastSeenMs = startMs;
  }

  /** Milliseconds until the next SMS is due; 0 means now. */
  pauseMs(nowMs: number): number {
    // Without this, a clock that is set back by an hour would stop the run for an hour.
    if (nowMs < this.#lastSeenMs) this.#startMs -= this.#lastSeenMs - nowMs;
    this.#lastSeenMs = nowMs;
    const lateMs = nowMs - this.#startMs - this.#takenCount * this.#msPerSms;
    if (lateMs > MAX_CATCH_UP_MS) this.#startMs += lateMs - MAX_CATCH_UP_MS;
    return lateMs >= 0 ? 0 : Math.ceil(-lateMs);
  }

  /** The SMS that was due has been given away. */
  took(): void {
    this.#takenCount += 1;
  }
}
