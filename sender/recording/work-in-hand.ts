import { BROKE_OFF, type ParkingReason } from '../../shared/domain/sms/parking.ts';
import { RedialError, StoppedError } from '../../shared/errors.ts';
import type { Delivery } from '../../shared/ports/delivery-source.ts';
import type { RecorderOptions } from './recorder-options.ts';

/** A store refuses what belongs to a journal message, for good. The message is why, and the reason for parking. */
export class RefusedForGoodError extends RedialError {
  constructor(message: ParkingReason) {
    super('REFUSED_FOR_GOOD', message);
  }
}

/** A journal message that is neither acknowledged nor parked yet. */
export class HeldMessage {
  readonly delivery: Delivery;
  readonly #onEnd: (parkingReason?: ParkingReason) => void;
  /** The message waits for its step, and for each store and look-up that comes of it. */
  #openCount = 1;
  #parkingReason: ParkingReason | undefined;

  constructor(delivery: Delivery, onEnd: (parkingReason?: ParkingReason) => void) {
    this.delivery = delivery;
    this.#onEnd = onEnd;
  }

  /** The message waits for one thing more. */
  hold(): void {
    this.#openCount += 1;
  }

  /** One of these things is done. After the last one the message is acknowledged or parked. */
  release(): void {
    this.#openCount -= 1;
    if (this.#openCount <= 0) this.#onEnd(this.#parkingReason);
  }

  /** At its end the message will be parked and not acknowledged, for the first reason that is given. */
  parkAtEnd(reason: ParkingReason): void {
    this.#parkingReason ??= reason;
  }
}

/**
 * What a recorder has in hand: journal messages, steps, and work beside the steps (puts, parkings, look-ups).
 * Steps follow one another. Outcomes are claimed in steps only, and batches are closed only where a step has ended. So no
 * batch is closed while a claim for it is unanswered. A step never waits for S3.
 */
export class WorkInHand {
  readonly #options: Pick<RecorderOptions, 'passOn' | 'log'>;
  readonly #onStepEnd: () => void;
  readonly #messages = new Set<HeldMessage>();
  readonly #workBeside = new Set<Promise<void>>();
  #lastStep: Promise<void> = Promise.resolve();
  #stepCount = 0;
  #isDraining = false;

  constructor(options: Pick<RecorderOptions, 'passOn' | 'log'>, onStepEnd: () => void) {
    this.#options = options;
    this.#onStepEnd = onStepEnd;
  }

  get messageCount(): number {
    return this.#messages.size;
  }

  /** Messages that RabbitMQ has not taken back. */
  get liveMessageCount(): number {
    return [...this.#messages].filter(({ delivery }) => delivery.isLive()).length;
  }

  /** True where no step runs or waits. */
  get areStepsDone(): boolean {
    return this.#stepCount === 0;
  }

  get hasWorkBeside(): boolean {
    return this.#workBeside.size > 0;
  }

  get isBusy(): boolean {
    return !this.areStepsDone || this.hasWorkBeside || this.messageCount > 0;
  }

  get isDraining(): boolean {
    return this.#isDraining;
  }

  startDraining(): void {
    this.#isDraining = true;
  }

  take(delivery: Delivery): HeldMessage {
    const held = new HeldMessage(delivery, (parkingReason) => {
      if (parkingReason === undefined) {
        delivery.acknowledge();
        this.#messages.delete(held);
      } else {
        const parked = this.#options.passOn.park(delivery, parkingReason);
        this.runBeside(parked.then(() => void this.#messages.delete(held)));
      }
    });
    this.#messages.add(held);
    return held;
  }

  /** Runs a step after those that were asked for before. A step that does nothing closes the batches that are due. */
  runStep(step: () => Promise<void> = async () => {}): void {
    this.#stepCount += 1;
    this.#lastStep = this.#lastStep
      .then(step)
      .catch((error: unknown) => this.#tell(error, 'recording broke off'))
      .finally(() => {
        this.#stepCount -= 1;
        this.#onStepEnd();
      });
  }

  runBeside(work: Promise<void>): void {
    const tracked = work
      .catch((error: unknown) => this.#tell(error, 'storing broke off'))
      .finally(() => this.#workBeside.delete(tracked));
    this.#workBeside.add(tracked);
  }

  /** Runs work beside the steps that each of the messages waits for. Where the work throws, they will be parked. */
  runBesideFor(messages: Iterable<HeldMessage>, work: () => Promise<void>): void {
    for (const held of messages) held.hold();
    const run = async () => {
      try {
        await work();
      } catch (error) {
        if (error instanceof StoppedError) throw error;
        for (const held of messages) this.breakOff(held, error);
      }
      for (const held of messages) held.release();
    };
    this.runBeside(run());
  }

  /** The message will be parked: a store refuses it for good, or an error came that nobody thought of. */
  breakOff(held: HeldMessage, error: unknown): void {
    const isRefused = error instanceof RefusedForGoodError;
    if (!isRefused) this.#options.log.error({ err: error }, 'a journal message cannot be recorded');
    held.parkAtEnd(isRefused ? error.message : BROKE_OFF);
  }

  /** Resolves when what was begun so far has ended. */
  async settled(): Promise<void> {
    await this.#lastStep;
    await Promise.all(this.#workBeside);
  }

  // What breaks off at the end of the shutdown timeout leaves its messages unacknowledged, and `drain` says how many.
  #tell(error: unknown, message: string): void {
    if (!(error instanceof StoppedError)) this.#options.log.error({ err: error }, message);
  }
}
