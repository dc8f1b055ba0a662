import { inProgressIn } from '../../domain/outcome/books.ts';
import type { Clock } from '../../ports/clock.ts';
import type { CounterReading } from '../../ports/counter-reader.ts';
import type { QueueReadings } from '../../ports/queue-reader.ts';
import { pause } from '../waiting.ts';
import type { Known, LastKnown } from './last-known.ts';
import { depthsOfWaiting, smsWaitingIn } from './queue-depths.ts';

/** What both servers know. */
export interface Moment {
  readonly counters: Known<CounterReading>;
  readonly queues: Known<QueueReadings>;
}

// The queues are read after this long, also while Redis hangs.
const HEAD_START_MS = 200;
// An announcement of the producer is counted within some tenths of a second, while recording is not behind.
const ASK_AGAIN_MS = 100;
const ASK_AGAIN_AT_MOST = 10;

/**
 * Reads counters and queues so that both can be true at one moment. The counters are read first: an SMS that is seen in a
 * queue afterwards had no outcome in them. But the SMS may not be counted as accepted yet, because the producer announces
 * it through the journal. So while more SMS wait than are in progress, the counters are read again, for a second at most.
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
    // SMS that stay unknown from look to look will not be known within a second.
    const isWorthWaiting = unknown > this.#unknownBefore;
    for (let tries = 0; isWorthWaiting && unknown > 0 && tries < ASK_AGAIN_AT_MOST; tries += 1) {
      await pause(this.#clock, ASK_AGAIN_MS);
      const later = await this.#counters.read(deadlineMs);
      const stillUnknown = this.#countUnknown({ counters: later, queues });
      // SMS that were in progress have their outcome now, so newer counters fit these queues less and less.
      if (stillUnknown > unknown) break;
      [counters, unknown] = [later, stillUnknown];
    }
    this.#unknownBefore = unknown;
    return { counters, queues };
  }
}

/** How many SMS wait in a queue that the counters do not know to be in progress. @param prefix QUEUE_NAME */
export function unknownSmsIn(prefix: string, { counters, queues }: Moment): number {
  if (counters.kind === 'stale' || queues.kind === 'stale' || !counters.reading.areValid) return 0;
  const { runs, done } = counters.reading;
  const inProgress = [...runs.values(), done.counters].reduce((sum, each) => sum + inProgressIn(each), 0);
  return Math.max(0, smsWaitingIn(depthsOfWaiting(prefix, queues.reading.queues)) - inProgress);
}
