import { CountersLostError, RedialError } from '../../../shared/errors.ts';
import { isBucketMissing } from '../../../shared/pipeline/archive/patient-objects.ts';
import type { RebuildOptions } from './rebuild-counters.ts';

const GRANT_LIFE_MS = 15_000;
// Two in a row may be lost.
const PROLONG_MS = 4_000;
const S3_PATIENCE_MS = 10_000;

/** S3 did not answer one call for too long. */
export class ArchiveAwayError extends RedialError {
  constructor(cause: unknown) {
    super('ARCHIVE_AWAY', `S3 cannot be read for ${S3_PATIENCE_MS / 1_000} s`, { cause });
  }
}

/**
 * The right to rebuild, while a recorder has it. A timer prolongs it, so that a page or an object that takes S3 long does
 * not lose it. The grant ends all waiting for S3 when a call has failed for ten seconds, because a recorder that cannot
 * read must not keep others from the rebuild; and when another recorder has begun to rebuild.
 */
export class RebuildGrant {
  readonly #options: RebuildOptions;
  readonly #waiting = new Set<(reason: unknown) => void>();
  #cancelTimer: () => void = () => {};
  #prolongedAtMs: number;
  #end: { readonly reason: unknown } | undefined;

  constructor(options: RebuildOptions) {
    this.#options = options;
    this.#prolongedAtMs = options.clock.nowMs();
    this.#prolongLater();
  }

  /** Repeats a call to S3 until ten seconds after it first failed. The time-out of the call bounds a call that hangs. */
  async read<Value>(call: () => Promise<Value>): Promise<Value> {
    let cancelPatience: (() => void) | undefined;
    try {
      for (let failedTries = 0; ; failedTries += 1) {
        try {
          return await this.#unlessEnded(call());
        } catch (error) {
          if (this.#end !== undefined) throw this.#end.reason;
          if (isBucketMissing(error)) throw error;
          cancelPatience ??= this.#options.clock.after(S3_PATIENCE_MS, () =>
            this.end(new ArchiveAwayError(error)),
          );
          await this.#unlessEnded(this.#options.pause(failedTries));
        }
      }
    } finally {
      cancelPatience?.();
    }
  }

  /** All calls that wait for S3 reject with the reason. */
  end(reason: unknown): void {
    this.#end ??= { reason };
    this.#cancelTimer();
    for (const stop of this.#waiting) stop(this.#end.reason);
  }

  #prolongLater(): void {
    this.#cancelTimer = this.#options.clock.after(PROLONG_MS, () => {
      this.#prolongLater();
      void this.#prolong();
    });
  }

  async #prolong(): Promise<void> {
    const { counters, clock, pause } = this.#options;
    // Rejects when the process ends: else a rebuild that only reads would outlive it.
    await pause(0).catch((reason: unknown) => this.end(reason));
    if (this.#end !== undefined) return;
    const askedAtMs = clock.nowMs();
    try {
      await counters.prolongRebuild();
      this.#prolongedAtMs = askedAtMs;
    } catch (error) {
      // A Redis that does not answer is asked again, until what it granted has run out.
      const hasRunOut = clock.nowMs() - this.#prolongedAtMs >= GRANT_LIFE_MS;
      if (error instanceof CountersLostError || hasRunOut) this.end(error);
    }
  }

  // No Promise.race with a promise of the end: it would hold something of each of millions of calls until the end.
  #unlessEnded<Value>(promise: Promise<Value>): Promise<Value> {
    return new Promise((resolve, reject) => {
      if (this.#end !== undefined) reject(this.#end.reason);
      this.#waiting.add(reject);
      void promise.then(resolve, reject).finally(() => this.#waiting.delete(reject));
    });
  }
}
