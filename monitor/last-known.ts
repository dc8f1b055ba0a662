import { describeError } from '../shared/errors.ts';
import type { Clock } from '../shared/ports.ts';
import { askWithin } from './answer.ts';

/** A reading of just now, or the last one there was and why there is none of now. */
export type Known<Reading> =
  | { readonly kind: 'current'; readonly reading: Reading }
  | { readonly kind: 'stale'; readonly lastReading: Reading | undefined; readonly reason: string };

/** Remembers the last reading of a server, so that its numbers stay on the screen while it does not answer. */
export class LastKnown<Reading> {
  readonly #clock: Clock;
  readonly #ask: () => Promise<Reading>;
  #lastReading: Reading | undefined;

  constructor(clock: Clock, ask: () => Promise<Reading>) {
    this.#clock = clock;
    this.#ask = ask;
  }

  async read(deadlineMs: number): Promise<Known<Reading>> {
    const answer = await askWithin(this.#clock, deadlineMs, async () => this.#remember(await this.#ask()));
    if (answer.kind === 'answered') return { kind: 'current', reading: answer.reading };
    return { kind: 'stale', lastReading: this.#lastReading, reason: describeError(answer.error) };
  }

  // An answer after the deadline is remembered too: late numbers are better than older ones.
  #remember(reading: Reading): Reading {
    this.#lastReading = reading;
    return reading;
  }
}

export function newestOf<Reading>(known: Known<Reading>): Reading | undefined {
  return known.kind === 'current' ? known.reading : known.lastReading;
}
