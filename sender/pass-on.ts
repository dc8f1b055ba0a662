/**
 * What a delivery led to goes on its way: a message to RabbitMQ, a line to the journal, and then the acknowledgement.
 * No delivery is left in the hand. One that cannot be passed on because of an error of ours is parked, with less and less
 * of what its sender chose in it; the last resort is to reject it, which needs nothing of it at all.
 *
 *   passed on ─ fails ─► parked in the minimal form ─ fails ─► rejected: RabbitMQ moves it to the dead letters
 *
 * A dead letter is parked alike, and in the minimal form then without its attempts: else one that is too large goes round.
 */
import type { AttemptRecord } from '../shared/domain/attempt.ts';
import { BROKE_OFF, type ParkingReason } from '../shared/domain/parking.ts';
import { StoppedError, UnencodableError } from '../shared/errors.ts';
import type { Delivery, Publisher } from '../shared/ports.ts';
import type { Journal } from './journal.ts';
import { minimalParkingOf, type ParkingContext, parkingOf } from './park.ts';
import { type Pause, publishUntilConfirmed } from './publish-until-confirmed.ts';
import { attemptsToldBy, isParking, type Settlement } from './settlement.ts';

export interface PassOnOptions extends ParkingContext {
  readonly publisher: Publisher;
  readonly journal: Journal;
  readonly pause: Pause;
}

export class PassOn {
  readonly #options: PassOnOptions;
  #isStopped = false;

  constructor(options: PassOnOptions) {
    this.#options = options;
  }

  /** From now on what is not confirmed stays unacknowledged. */
  stop(): void {
    this.#isStopped = true;
  }

  /**
   * Acknowledges the delivery once RabbitMQ has confirmed what it led to. A crash in between repeats the attempt, and
   * repeating an SMS is better than losing one. Never rejects.
   */
  async confirm(delivery: Delivery, settlement: Settlement, isLastResort = false): Promise<void> {
    try {
      const { journalLine } = settlement;
      const recorded = journalLine === undefined ? undefined : this.#options.journal.append(journalLine);
      // A message is parked after its record: where the record is too large, each try would leave a copy.
      if (isParking(settlement)) await recorded;
      if (!(await this.#publish(delivery, settlement))) return;
      await recorded;
      delivery.acknowledge();
    } catch (error) {
      await this.#parkInstead(error, delivery, settlement, isLastResort);
    }
  }

  /** The same, told when it is over. Most SMS lead to a line only, and need no promise then. */
  confirmThen(delivery: Delivery, settlement: Settlement, onOver: () => void): void {
    const { journalLine, message } = settlement;
    if (journalLine === undefined || message !== undefined) {
      void this.confirm(delivery, settlement).then(onOver);
      return;
    }
    this.#options.journal.appendThen(journalLine, (error) => {
      if (error === undefined) {
        delivery.acknowledge();
        onOver();
      } else void this.#parkInstead(error, delivery, settlement).then(onOver);
    });
  }

  /** For what could not be passed on. Never rejects. */
  async #parkInstead(
    error: unknown,
    delivery: Delivery,
    settlement: Settlement,
    isLastResort = false,
  ): Promise<void> {
    if (this.#isGivenUp(delivery, error)) return;
    if (isLastResort) this.#reject(delivery, error);
    else await this.parkBroken(delivery, error, isParking(settlement) ? [] : attemptsToldBy(settlement));
  }

  /** Parks a delivery with all that can be said of it. Never rejects. */
  async park(delivery: Delivery, reason: ParkingReason): Promise<void> {
    if (!delivery.isLive()) return;
    let settlement: Settlement;
    try {
      settlement = parkingOf(delivery.message, reason, this.#options);
    } catch (error) {
      return this.parkBroken(delivery, error);
    }
    return this.confirm(delivery, settlement);
  }

  /** Parks a delivery that an error of ours broke off. Never rejects. */
  async parkBroken(
    delivery: Delivery,
    error: unknown,
    attempts: readonly AttemptRecord[] = [],
  ): Promise<void> {
    this.#options.log.error({ err: error }, `${BROKE_OFF}: the message is parked`);
    let settlement: Settlement;
    try {
      settlement = minimalParkingOf(delivery.message, BROKE_OFF, this.#options, attempts);
    } catch (again) {
      return this.#reject(delivery, again);
    }
    return this.confirm(delivery, settlement, true);
  }

  #reject(delivery: Delivery, error: unknown): void {
    this.#options.log.error({ err: error }, 'the message cannot even be parked, rejected');
    delivery.reject();
  }

  async #publish(delivery: Delivery, { message, plainMessage }: Settlement): Promise<boolean> {
    if (message === undefined) return true;
    const { publisher, pause, log } = this.#options;
    const isWanted = () => delivery.isLive() && !this.#isStopped;
    try {
      return await publishUntilConfirmed(publisher, message, pause, isWanted);
    } catch (error) {
      if (!(error instanceof UnencodableError) || plainMessage === undefined) throw error;
      log.warn({ err: error }, 'foreign headers cannot be passed on and are dropped');
      return publishUntilConfirmed(publisher, plainMessage, pause, isWanted);
    }
  }

  #isGivenUp(delivery: Delivery, error: unknown): boolean {
    return this.#isStopped || !delivery.isLive() || error instanceof StoppedError;
  }
}
