/**
 * Moves the overdue SMS of one retry or hold queue to the due queue. Each SMS is published first, and acknowledged once that is
 * confirmed. A crash in between leaves it in both queues, which is harmless: both are the same attempt of the same id.
 *
 * Deliveries come many at a time, and some of them are not overdue. The mover keeps those unacknowledged until the end.
 * When the caller closes the channel, RabbitMQ gets them back all at once, in their order and at their place.
 */
import { judgeWait, moveToDue } from '../../shared/domain/schedule/overdue.ts';
import { Republisher, type Republishing } from '../../shared/pipeline/publish-until-confirmed.ts';
import { Change, Grace } from '../../shared/pipeline/waiting.ts';
import type { Delivery, DeliverySource } from '../../shared/ports/delivery-source.ts';

export interface MoveSurroundings extends Republishing {
  readonly shutdown: AbortSignal;
}

/** Deliveries that may be unacknowledged at once: RabbitMQ batches what it writes to disk. */
export const MOVED_AT_ONCE = 500;

// A queue that holds something hands it over in milliseconds.
const QUIET_MS = 2_000;
const CONFIRM_GRACE_MS = 5_000;

export class OverdueMover {
  readonly #source: DeliverySource;
  readonly #around: MoveSurroundings;
  readonly #change: Change;
  readonly #grace: Grace;
  readonly #republisher: Republisher;
  /** Not overdue, or not to be moved. */
  #kept: Delivery[] = [];
  #begunCount = 0;
  #unconfirmedCount = 0;
  #movedCount = 0;
  #expectedCount = 0;
  #isEnding = false;
  #isQuiet = true;

  constructor(source: DeliverySource, around: MoveSurroundings) {
    const { clock, shutdown } = around;
    this.#source = source;
    this.#around = around;
    this.#change = new Change(clock);
    this.#grace = new Grace(clock, shutdown, CONFIRM_GRACE_MS, () => this.#end());
    this.#republisher = new Republisher(around, this.#grace.over);
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
    const { over } = this.#grace;
    this.#expectedCount = expectedCount;
    this.#source.start((delivery) => this.#take(delivery));
    while (!this.#isEnding) {
      this.#isQuiet = true;
      await this.#change.wait(QUIET_MS);
      if (this.#isQuiet && this.#unconfirmedCount === 0) this.#end();
    }
    while (this.#unconfirmedCount > 0 && !over.aborted) await this.#change.wait(Infinity);
    this.#grace.end();
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
      const isConfirmed = await this.#republisher.publish(moveToDue(delivery.message));
      // Where the channel has died, the SMS comes again and is counted then.
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
    this.#change.tell();
  }

  #keep(delivery: Delivery): void {
    this.#kept = [...this.#kept.filter((each) => each.isLive()), delivery];
    // Nothing else is handed over while all of the window is kept.
    if (this.#kept.length >= MOVED_AT_ONCE) this.#end();
  }

  #end(): void {
    this.#isEnding = true;
    this.#change.tell();
  }
}
