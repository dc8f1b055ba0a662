/**
 * Moves the overdue SMS of one retry queue to the due queue: publish, and only when that is confirmed, acknowledge.
 * A crash in between leaves an SMS in both queues, which is harmless: it is the same attempt of the same id.
 *
 * Deliveries come many at a time, so some that are not overdue come along. They are kept until the end and given
 * back all at once, when the caller closes the channel: so they keep their order and their place.
 */
import { judgeWait, moveToDue } from '../shared/domain/overdue.ts';
import type { Clock, Delivery, DeliverySource, Logger, Publisher } from '../shared/ports.ts';
import { PublishAgain } from './publish-again.ts';

export interface MoveSurroundings {
  readonly publisher: Publisher;
  readonly clock: Clock;
  readonly log: Logger;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly shutdown: AbortSignal;
}

/** Deliveries that may be unacknowledged at once: RabbitMQ batches what it writes to disk. */
export const MOVE_WINDOW_SIZE = 500;

// A queue that holds something hands it over in milliseconds.
const QUIET_MS = 2_000;
const CONFIRM_GRACE_MS = 5_000;

export class OverdueMover {
  readonly #source: DeliverySource;
  readonly #around: MoveSurroundings;
  readonly #publishAgain: PublishAgain;
  /** Not overdue, or not to be moved. */
  #kept: Delivery[] = [];
  #begunCount = 0;
  #unconfirmedCount = 0;
  #movedCount = 0;
  #expectedCount = 0;
  #isEnding = false;
  #isGraceOver = false;
  #isQuiet = true;
  #wake: () => void = () => {};
  #cancelGrace: () => void = () => {};

  constructor(source: DeliverySource, around: MoveSurroundings) {
    this.#source = source;
    this.#around = around;
    this.#publishAgain = new PublishAgain(around);
  }

  get movedCount(): number {
    return this.#movedCount;
  }

  /**
   * Moves what is overdue, until the first SMS that is not, the end of the queue, or the shutdown. What was handed
   * over and not moved stays unacknowledged.
   * @param expectedCount that were found to be overdue: before so many are met, others do not end it
   */
  async move(expectedCount: number): Promise<void> {
    const { clock, shutdown } = this.#around;
    this.#expectedCount = expectedCount;
    shutdown.addEventListener('abort', this.#beginGrace, { once: true });
    if (shutdown.aborted) this.#beginGrace();
    this.#source.start((delivery) => this.#take(delivery));
    while (!this.#isEnding) {
      this.#isQuiet = true;
      const cancel = clock.after(QUIET_MS, () => this.#wake());
      await this.#change();
      cancel();
      if (this.#isQuiet && this.#unconfirmedCount === 0) this.#end();
    }
    while (this.#unconfirmedCount > 0 && !this.#isGraceOver) await this.#change();
    this.#cancelGrace();
    shutdown.removeEventListener('abort', this.#beginGrace);
  }

  #take(delivery: Delivery): void {
    this.#isQuiet = false;
    if (this.#isEnding) return;
    const wait = judgeWait(delivery.message, this.#around.clock.nowMs());
    if (wait.kind === 'overdue') {
      this.#begunCount += 1;
      this.#unconfirmedCount += 1;
      void this.#moveOn(delivery);
      return;
    }
    this.#keep(delivery);
    if (wait.kind === 'waiting' && this.#begunCount >= this.#expectedCount) this.#end();
  }

  async #moveOn(delivery: Delivery): Promise<void> {
    const { log } = this.#around;
    try {
      const isConfirmed = await this.#publishAgain.publish(moveToDue(delivery.message));
      // On a dead channel it comes again, and is counted then.
      if (isConfirmed && delivery.isLive()) {
        delivery.acknowledge();
        this.#movedCount += 1;
      }
    } catch (error) {
      log.error({ smsId: delivery.message.messageId, err: error }, 'an overdue SMS cannot be published');
      this.#keep(delivery);
    }
    this.#unconfirmedCount -= 1;
    this.#isQuiet = false;
    this.#wake();
  }

  #keep(delivery: Delivery): void {
    this.#kept = [...this.#kept.filter((each) => each.isLive()), delivery];
    // Nothing else is handed over while all of the window is kept.
    if (this.#kept.length >= MOVE_WINDOW_SIZE) this.#end();
  }

  #end(): void {
    this.#isEnding = true;
    this.#wake();
  }

  readonly #beginGrace = (): void => {
    this.#cancelGrace = this.#around.clock.after(CONFIRM_GRACE_MS, () => {
      this.#isGraceOver = true;
      this.#publishAgain.stop();
      this.#wake();
    });
    this.#end();
  };

  /** Resolves at the next confirm, timer or end. */
  #change(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }
}
