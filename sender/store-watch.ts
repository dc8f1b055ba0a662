/**
 * What a process sees of one store. Operations are watched one by one: a store that refuses one of them and does all
 * others is not away. It is away where nothing that was tried has succeeded.
 */
import { isRefusal } from '../shared/errors.ts';
import type { Clock, Logger } from '../shared/ports.ts';

export type StoreName = 'Redis' | 'S3';

interface Failing {
  readonly newestMs: number;
  /** Since when each try has been refused; undefined where the newest one may have been carried out. */
  readonly refusedSinceMs: number | undefined;
}

// Refusals that lie further apart say nothing about the time between them.
const TOGETHER_MS = 60_000;

export class StoreWatch {
  readonly store: StoreName;
  readonly #clock: Clock;
  readonly #log: Logger;
  /** Operations whose newest try failed. */
  readonly #failing = new Map<string, Failing>();
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
    const nowMs = this.#clock.nowMs();
    const before = this.#failing.get(operation);
    const isSeries = before !== undefined && nowMs - before.newestMs < TOGETHER_MS;
    const refusedSinceMs = isSeries ? (before.refusedSinceMs ?? nowMs) : nowMs;
    this.#failing.set(operation, {
      newestMs: nowMs,
      refusedSinceMs: isRefusal(error) ? refusedSinceMs : undefined,
    });
    if (before !== undefined) return;
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

  /** True where an operation was refused for so long, each time, by a store that did other things meanwhile. */
  isRefusedFor(durationMs: number, operation: string): boolean {
    const sinceMs = this.#failing.get(operation)?.refusedSinceMs;
    if (sinceMs === undefined || this.#clock.nowMs() - sinceMs < durationMs) return false;
    return this.#lastSuccessMs >= sinceMs;
  }

  /** The operation is not tried any more. */
  forget(operation: string): void {
    this.#failing.delete(operation);
  }

  /** True where nothing has succeeded for so long, and something was tried. */
  isAwayFor(durationMs: number): boolean {
    return this.#awaySinceMs !== undefined && this.#clock.nowMs() - this.#awaySinceMs >= durationMs;
  }
}
