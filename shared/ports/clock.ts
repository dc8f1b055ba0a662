export interface Clock {
  /** Milliseconds since the epoch. */
  nowMs(): number;
  /**
   * The microsecond within a millisecond, 0 to 999. It does not belong to the millisecond of `nowMs`: it only tells apart
   * what happens within one. Without it, 0.
   */
  microsecond?(): number;
  /** Calls back once after the delay; the returned function cancels. */
  after(delayMs: number, callback: () => void): () => void;
}
