/**
 * Passes on what a delivery led to: a message to RabbitMQ, a line to the journal, then the acknowledgement. Every delivery
 * on a living channel comes to an end. Where an error of ours breaks it off, it is parked in a minimal form, which holds
 * little of what the client chose. Where that fails too, it is rejected, which needs nothing of the message.
 *
 *   passed on ─ fails ─► parked in the minimal form ─ fails ─► rejected: RabbitMQ moves it to the dead letters
 *
 * Dead letters are parked the same way, but their minimal form leaves the attempts out: with them, a dead letter that is
 * too large would go round for ever.
 */
import type { AttemptRecord } from '../../shared/domain/outcome/attempt.ts';
import { BROKE_OFF, type ParkingReason } from '../../shared/domain/sms/parking.ts';
import { StoppedError, UnencodableError } from '../../shared/errors.ts';
import { minimalParkingOf, type ParkingContext, parkingOf } from '../../shared/pipeline/attempt/park.ts';
import { attemptsToldBy, isParking, type Settlement } from '../../shared/pipeline/attempt/settlement.ts';
import { type Pause, publishUntilConfirmed } from '../../shared/pipeline/publish-until-confirmed.ts';
import type { Delivery } from '../../shared/ports/delivery-source.ts';
import type { Publisher } from '../../shared/ports/publisher.ts';
import type { Journal } from '../recording/journal.ts';

export interface PassOnOptions extends ParkingContext {
  readonly publisher: Publisher;
  readonly journal: Journal;
  readonly pause: Pause;
  /** Hears of each delivery that led to a message, once all that it led to is confirmed. */
  readonly onPassedOn?: (settlement: Settlement) => void;
}

export class PassOn {
  readonly #options: PassOnOptions;
  #isStopped = false;

  constructor(options: PassOnOptions) {
    this.#options = options;
  }

  /** From now on a delivery that is not confirmed stays unacknowledged. */
  stop(): void {
    this.#isStopped = true;
  }

  /**
   * Acknowledges the delivery once RabbitMQ has confirmed what it led to. A crash in between repeats the attempt, and
   * repeating an SMS is better than losing one. Its promise never rejects.
   */
  async confirm(delivery: Delivery, settlement: Settlement, isLastResort = false): Promise<void> {
    try {
      const { journalLine } = settlement;
      const recorded = journalLine === undefined ? undefined : this.#options.journal.append(journalLine);
      // The record comes before the parked message: where the record is too large, each try would leave a parked copy.
      if (isParking(settlement)) await recorded;
      if (!(await this.#publish(delivery, settlement))) return;
      await recorded;
      delivery.acknowledge();
      this.#options.onPassedOn?.(settlement);
    } catch (error) {
      await this.#parkInstead(error, delivery, settlement, isLastResort);
    }
  }

  /** As `confirm`, for a caller without a promise: most SMS lead to a journal line only, and this spares them the promise. */
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

  /** Parks, or at last rejects, what could not be passed on. Never rejects its promise. */
  async #parkInstead(
    error: unknown,
    delivery: Delivery,
    settlement: Settlement,
    isLastResort = false,
  ): Promise<void> {
    if (this.#isStopped || !delivery.isLive() || error instanceof StoppedError) return;
    if (isLastResort) this.#reject(delivery, error);
    else await this.parkBroken(delivery, error, isParking(settlement) ? [] : attemptsToldBy(settlement));
  }

  /** Parks a delivery with all that can be said of it. Its promise never rejects. */
  async park(delivery: Delivery, reason: ParkingReason): Promise<void> {
    if (!delivery.isLive()) return;
    try {
      await this.confirm(delivery, parkingOf(delivery.message, reason, this.#options));
    } catch (error) {
      await this.parkBroken(delivery, error);
    }
  }

  /** Parks a delivery that an error of ours broke off, in the minimal form. Its promise never rejects. */
  async parkBroken(
    delivery: Delivery,
    error: unknown,
    attempts: readonly AttemptRecord[] = [],
  ): Promise<void> {
    this.#options.log.error({ err: error }, `${BROKE_OFF}: the message is parked`);
    try {
      const settlement = minimalParkingOf(delivery.message, BROKE_OFF, this.#options, attempts);
      await this.confirm(delivery, settlement, true);
    } catch (again) {
      this.#reject(delivery, again);
    }
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
}
