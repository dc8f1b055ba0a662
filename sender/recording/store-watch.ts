/**
 * What a process sees of one store. Each operation is watched by itself. A store is away where nothing that was tried has
 * succeeded. A store that refuses one operation and does all others is not away.
 */
import { describeError, isRefusal } from '../../shared/errors.ts';
import type { Clock } from '../../shared/ports/clock.ts';
import type { Logger } from '../../shared/ports/logger.ts';

export type StoreName = 'Redis' | 'S3';

interface Failing {
  readonly newestMs: number;
  /** Since when each try has been refused; undefined where the newest one may have been carried out. */
  readonly refusedSinceMs: number | undefined;
  /** When something else succeeded for the first time after that. */
  othersSinceMs?: number;
}

// Refusals that lie further apart say nothing about the time between them.
const TOGETHER_MS = 60_000;
const TOLD_AFTER_MS = 2_000;

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
  #lastError: unknown;

  constructor(store: StoreName, clock: Clock, log: Logger) {
    this.store = store;
    this.#clock = clock;
    this.#log = log;
  }

  /** @param startedAtMs when the call began */
  noteFailure(operation: string, error: unknown, startedAtMs: number): void {
    this.#awaySinceMs ??= Math.max(startedAtMs, this.#lastSuccessMs);
    this.#lastError = error;
    const nowMs = this.#clock.nowMs();
    const before = this.#failing.get(operation);
    const isSeries = before !== undefined && nowMs - before.newestMs < TOGETHER_MS;
    const refusedSinceMs = isSeries ? (before.refusedSinceMs ?? nowMs) : nowMs;
    const { othersSinceMs } = before ?? {};
    this.#failing.set(operation, {
      newestMs: nowMs,
      refusedSinceMs: isRefusal(error) ? refusedSinceMs : undefined,
      ...(isSeries && isRefusal(error) && othersSinceMs !== undefined ? { othersSinceMs } : {}),
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
    if (this.#failing.size === 0) return;
    const wasFailing = this.#failing.delete(operation);
    for (const failing of this.#failing.values())
      if (startedAtMs >= (failing.refusedSinceMs ?? Number.POSITIVE_INFINITY))
        failing.othersSinceMs ??= this.#clock.nowMs();
    if (wasFailing) this.#log.info({ store: this.store, operation }, `${this.store} is back (${operation})`);
  }

  /**
   * True where the operation was refused each time for so long, counted from the first success of another one, and the store
   * is not away. A store that has just come back may refuse a moment longer.
   */
  isRefusedFor(durationMs: number, operation: string): boolean {
    const nowMs = this.#clock.nowMs();
    const sinceMs = this.#failing.get(operation)?.othersSinceMs;
    const isWell = this.hasSucceededSince(nowMs - TOGETHER_MS);
    return isWell && sinceMs !== undefined && nowMs - sinceMs >= durationMs;
  }

  /** True where a call that began at that time or later has succeeded. */
  hasSucceededSince(timeMs: number): boolean {
    return this.#lastSuccessMs >= timeMs;
  }

  /** The operation is not tried any more. */
  forget(operation: string): void {
    this.#failing.delete(operation);
  }

  /** What an operator should hear of the store; undefined where it is not away for longer than a hiccup. */
  get trouble(): string | undefined {
    if (!this.isAwayFor(TOLD_AFTER_MS)) return undefined;
    const said = describeError(this.#lastError);
    return isRefusal(this.#lastError) ? said : `${this.store} does not answer (${said})`;
  }

  /** How long nothing has succeeded that was tried, in milliseconds; 0 where the store is not away. */
  get awayMs(): number {
    return this.#awaySinceMs === undefined ? 0 : Math.max(0, this.#clock.nowMs() - this.#awaySinceMs);
  }

  get isAway(): boolean {
    return this.#awaySinceMs !== undefined;
  }

  /** True where something was tried and nothing has succeeded for so long. */
  isAwayFor(durationMs: number): boolean {
    if (this.#awaySinceMs === undefined) return false;
    // The clock may have been stepped back.
    this.#awaySinceMs = Math.min(this.#awaySinceMs, this.#clock.nowMs());
    return this.#clock.nowMs() - this.#awaySinceMs >= durationMs;
  }
}
