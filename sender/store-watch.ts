/**
 * What a process sees of one store. Operations are watched one by one: a store that refuses one of them and does all
 * others is not away. It is away where nothing that was tried has succeeded.
 */
import type { Clock, Logger } from '../shared/ports.ts';

export type StoreName = 'Redis' | 'S3';

export class StoreWatch {
  readonly store: StoreName;
  readonly #clock: Clock;
  readonly #log: Logger;
  /** Operations whose newest try failed. */
  readonly #failing = new Set<string>();
  /** When the newest call that succeeded was begun. */
  #lastSuccessMs = Number.NEGATIVE_INFINITY;
  /** The first failure since something succeeded. */
  #awaySinceMs: number | undefined;

  constructor(store: StoreName, clock: Clock, log: Logger) {
    this.store = store;
    this.#clock = clock;
    this.#log = log;
  }

  /** @param startedAtMs when the call began */
  noteFailure(operation: string, error: unknown, startedAtMs: number): void {
    this.#awaySinceMs ??= Math.max(startedAtMs, this.#lastSuccessMs);
    if (this.#failing.has(operation)) return;
    this.#failing.add(operation);
    this.#log.warn(
      { store: this.store, operation, err: error },
      `${this.store} fails (${operation}): sending goes on, outcomes wait`,
    );
  }

  /** @param startedAtMs when the call began */
  noteSuccess(operation: string, startedAtMs: number): void {
    this.#lastSuccessMs = Math.max(startedAtMs, this.#lastSuccessMs);
    this.#awaySinceMs = undefined;
    if (this.#failing.size === 0 || !this.#failing.delete(operation)) return;
    this.#log.info({ store: this.store, operation }, `${this.store} is back (${operation})`);
  }

  /** True where nothing has succeeded for so long, and something was tried. */
  isAwayFor(durationMs: number): boolean {
    return this.#awaySinceMs !== undefined && this.#clock.nowMs() - this.#awaySinceMs >= durationMs;
  }

  /** True where something succeeded that was begun then or later. */
  hasSucceededSince(sinceMs: number): boolean {
    return this.#lastSuccessMs >= sinceMs;
  }
}
