import type { Clock, CounterReading, QueueReadings } from '../shared/ports.ts';
import { pause } from './answer.ts';
import type { Known, LastKnown } from './last-known.ts';

/** What both servers know. */
export interface Moment {
  readonly counters: Known<CounterReading>;
  readonly queues: Known<QueueReadings>;
}

// A Redis that hangs must not keep us from the queues.
const HEAD_START_MS = 200;
// An announcement of the producer is counted within some tenths of a second, while recording is not behind.
const ASK_AGAIN_MS = 100;
const ASK_AGAIN_AT_MOST = 10;

/**
 * Reads counters and queues so that both can be true at one moment. What was seen to wait in a queue has no outcome in
 * counters that were read before. But it may not be counted as accepted yet: the producer tells it by way of the journal.
 * So where more SMS wait than are in progress, the counters are asked again, for a second at most.
 */
export class MomentReader {
  readonly #clock: Clock;
  readonly #counters: LastKnown<CounterReading>;
  readonly #queues: LastKnown<QueueReadings>;
  readonly #countUnknown: (moment: Moment) => number;
  #unknownBefore = 0;

  /** @param countUnknown how many SMS wait in a queue that the counters do not know to be in progress */
  constructor(
    clock: Clock,
    counters: LastKnown<CounterReading>,
    queues: LastKnown<QueueReadings>,
    countUnknown: (moment: Moment) => number,
  ) {
    this.#clock = clock;
    this.#counters = counters;
    this.#queues = queues;
    this.#countUnknown = countUnknown;
  }

  async read(deadlineMs: number): Promise<Moment> {
    const asked = this.#counters.read(deadlineMs);
    await Promise.race([asked, pause(this.#clock, HEAD_START_MS)]);
    const queues = await this.#queues.read(deadlineMs);
    let counters = await asked;
    let unknown = this.#countUnknown({ counters, queues });
    // Those that stay unknown from look to look are no matter of a second.
    const isWorthWaiting = unknown > this.#unknownBefore;
    for (let tries = 0; isWorthWaiting && unknown > 0 && tries < ASK_AGAIN_AT_MOST; tries += 1) {
      await pause(this.#clock, ASK_AGAIN_MS);
      const later = await this.#counters.read(deadlineMs);
      const stillUnknown = this.#countUnknown({ counters: later, queues });
      // What was in progress beside them has its outcome now: it does not get better any more.
      if (stillUnknown > unknown) break;
      [counters, unknown] = [later, stillUnknown];
    }
    this.#unknownBefore = unknown;
    return { counters, queues };
  }
}
