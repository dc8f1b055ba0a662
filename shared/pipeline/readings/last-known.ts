import { describeError } from '../../errors.ts';
import type { Clock } from '../../ports/clock.ts';
import { askWithin } from './answer.ts';

/** A reading of just now, or the last one there was and why there is none of now. */
export type Known<Reading> =
  | { readonly kind: 'current'; readonly reading: Reading; readonly askedAtMs: number }
  | {
      readonly kind: 'stale';
      readonly lastReading: Reading | undefined;
      readonly reason: string;
      /** When the server was asked for the last reading. */
      readonly askedAtMs?: number | undefined;
    };

/** Remembers the last reading of a server, so that its numbers stay on the screen while it does not answer. */
export class LastKnown<Reading> {
  readonly #clock: Clock;
  readonly #ask: () => Promise<Reading>;
  #last: { readonly reading: Reading; readonly askedAtMs: number } | undefined;

  constructor(clock: Clock, ask: () => Promise<Reading>) {
    this.#clock = clock;
    this.#ask = ask;
  }

  async read(deadlineMs: number): Promise<Known<Reading>> {
    const askedAtMs = this.#clock.nowMs();
    const answer = await askWithin(this.#clock, deadlineMs, async () => {
      const reading = await this.#ask();
      // An answer after the deadline is remembered too: late numbers are better than older ones.
      this.#last = { reading, askedAtMs };
      return reading;
    });
    if (answer.kind === 'answered') return { kind: 'current', reading: answer.reading, askedAtMs };
    return {
      kind: 'stale',
      lastReading: this.#last?.reading,
      askedAtMs: this.#last?.askedAtMs,
      reason: describeError(answer.error),
    };
  }
}

export function newestOf<Reading>(known: Known<Reading>): Reading | undefined {
  return known.kind === 'current' ? known.reading : known.lastReading;
}
