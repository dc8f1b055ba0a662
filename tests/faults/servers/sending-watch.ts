import { setTimeout as sleep } from 'node:timers/promises';
import type { RunningProcess } from '../../kit/process/running-process.ts';
import type { FaultRun } from '../fault-run.ts';

const LOOK_EVERY_MS = 100;

/**
 * Notes when attempts were counted. A counted attempt was published to the journal, confirmed and consumed before: while
 * the count grows, all of RabbitMQ works.
 */
export class SendingWatch {
  readonly #grownAtMs: number[] = [Date.now()];
  /** From then on there may be nothing to send. */
  #loadEndedAtMs = Number.POSITIVE_INFINITY;

  constructor(run: FaultRun, producer: RunningProcess) {
    void this.#look(run);
    void producer.ended.then(() => {
      this.#loadEndedAtMs = Date.now();
    });
  }

  /** The longest time without a counted attempt, from a moment until now, or until the producer had ended. */
  longestPauseMs(sinceMs: number = this.#grownAtMs[0] ?? 0): number {
    const untilMs = Math.min(Date.now(), this.#loadEndedAtMs);
    const grown = this.#grownAtMs.filter((atMs) => atMs > sinceMs && atMs < untilMs);
    const moments = [sinceMs, ...grown, Math.max(sinceMs, untilMs)];
    return Math.max(...moments.slice(1).map((atMs, index) => atMs - (moments[index] ?? atMs)));
  }

  async #look(run: FaultRun): Promise<void> {
    for (let attempts = 0; !run.hasEnded; await sleep(LOOK_EVERY_MS)) {
      const counted = (await run.counters())?.attempts ?? 0;
      if (counted > attempts) this.#grownAtMs.push(Date.now());
      attempts = Math.max(attempts, counted);
    }
  }
}
