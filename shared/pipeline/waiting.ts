/** Waits on a Clock and on AbortSignals. A wait that ends takes its timer and its listeners away. */
import { setMaxListeners } from 'node:events';
import { fullJitterMs } from '../domain/schedule/backoff.ts';
import type { Clock } from '../ports/clock.ts';
import type { Pause } from './publish-until-confirmed.ts';

/** Resolves when the signal aborts; at once where it has aborted already. */
export function abortOf(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    signal.addEventListener('abort', () => resolve(), { once: true });
    if (signal.aborted) resolve();
  });
}

/** Resolves or rejects with the work, or resolves as soon as the signal aborts. The work goes on unwatched then. */
export async function untilAborted(work: Promise<unknown>, signal: AbortSignal): Promise<void> {
  const over = new AbortController();
  const aborted = new Promise<void>((resolve) => {
    signal.addEventListener('abort', () => resolve(), { signal: over.signal });
    if (signal.aborted) resolve();
  });
  // Listens no longer than it must: a monitor that runs for months waits millions of times for one signal.
  await Promise.race([work, aborted]).finally(() => over.abort());
}

/** Resolves after the time, or as soon as the signal aborts. */
export function pause(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted === true) return Promise.resolve();
  return new Promise((resolve) => {
    const end = () => {
      cancel();
      signal?.removeEventListener('abort', end);
      resolve();
    };
    const cancel = clock.after(delayMs, end);
    signal?.addEventListener('abort', end);
  });
}

/**
 * Pauses between tries, with full jitter. Once the signal aborts, each pause rejects with its reason.
 * @param random uniform in [0, 1)
 */
export function createBackoff(signal: AbortSignal, clock: Clock, random: () => number): Pause {
  // A connection that ends lets thousands of publishes pause on one signal, and Node.js warns of more than ten.
  setMaxListeners(0, signal);
  return async (failedTries) => {
    await pause(clock, fullJitterMs(failedTries, random()), signal);
    signal.throwIfAborted();
  };
}

/** Lets one caller wait until another one says that something has changed. */
export class Change {
  readonly #clock: Clock;
  #tell = () => {};

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Ends the wait; does nothing where nobody waits. */
  tell(): void {
    this.#tell();
  }

  /** Resolves at the next `tell`, after `mostMs` at the latest. */
  async wait(mostMs: number): Promise<void> {
    const told = new Promise<void>((resolve) => {
      this.#tell = resolve;
    });
    const cancel = mostMs === Infinity ? () => {} : this.#clock.after(mostMs, this.#tell);
    await told;
    cancel();
  }
}

/** The time that a process still takes for what it has begun: it starts when the signal of the shutdown aborts. */
export class Grace {
  readonly #over = new AbortController();
  readonly #shutdown: AbortSignal;
  readonly #begin: () => void;
  #cancel = () => {};

  /** @param onChange is called when the time starts and when it is over */
  constructor(clock: Clock, shutdown: AbortSignal, graceMs: number, onChange = () => {}) {
    this.#shutdown = shutdown;
    this.#begin = () => {
      this.#cancel = clock.after(graceMs, () => {
        this.#over.abort();
        onChange();
      });
      onChange();
    };
    setMaxListeners(0, this.over);
    shutdown.addEventListener('abort', this.#begin, { once: true });
    if (shutdown.aborted) this.#begin();
  }

  /** Aborts when the time is over. */
  get over(): AbortSignal {
    return this.#over.signal;
  }

  /** Nobody waits any more. */
  end(): void {
    this.#cancel();
    this.#shutdown.removeEventListener('abort', this.#begin);
  }
}
