import type { Clock } from '../../shared/ports/clock.ts';

interface Timer {
  /** On the clock that no one steps, as real timers are. */
  readonly dueMs: number;
  readonly callback: () => void;
}

/** Lets everything run that waits for nothing but promises. */
export function letRun(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** A clock that stands still until it is advanced. */
export class ManualClock implements Clock {
  #uptimeMs = 0;
  #startedAtMs: number;
  readonly #timers = new Set<Timer>();

  constructor(startMs = Date.UTC(2026, 10, 22, 10, 0, 0)) {
    this.#startedAtMs = startMs;
  }

  get timerCount(): number {
    return this.#timers.size;
  }

  nowMs(): number {
    return this.#startedAtMs + this.#uptimeMs;
  }

  after(delayMs: number, callback: () => void): () => void {
    const timer = { dueMs: this.#uptimeMs + delayMs, callback };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** Lets that much time pass, timer by timer, each with what follows from it. */
  async advance(durationMs: number): Promise<void> {
    const endMs = this.#uptimeMs + durationMs;
    await letRun();
    for (let timer = this.#firstUntil(endMs); timer !== undefined; timer = this.#firstUntil(endMs)) {
      this.#timers.delete(timer);
      this.#uptimeMs = Math.max(this.#uptimeMs, timer.dueMs);
      timer.callback();
      await letRun();
    }
    this.#uptimeMs = endMs;
  }

  /** Sets the wall clock forward or (negative) back; timers do not notice. */
  stepBy(durationMs: number): void {
    this.#startedAtMs += durationMs;
  }

  #firstUntil(endMs: number): Timer | undefined {
    const due = [...this.#timers].filter(({ dueMs }) => dueMs <= endMs);
    return due.sort((left, right) => left.dueMs - right.dueMs)[0];
  }
}
