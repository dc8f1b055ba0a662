/**
 * The life of a sender: deliveries wait by lane, up to `concurrency` of them are with the gateway at once, and
 * each is acknowledged when what it led to is confirmed. Waiting for confirms takes no place from a send.
 *
 *   handed over -> waiting in its lane -> with the gateway -> being confirmed -> acknowledged
 *
 * A delivery whose channel dies is dropped wherever it is: RabbitMQ hands the message out again. One that was handed
 * out again and again may be what kills its sender, and begins as suspects.ts says.
 */
import { LANES, type Lane, LaneTurns } from '../shared/domain/lanes.ts';
import { identityOfUnreadable } from '../shared/domain/parking.ts';
import { UnencodableError } from '../shared/errors.ts';
import type { Delivery, DeliverySource, Logger, Publisher, StartMarks } from '../shared/ports.ts';
import { endOf } from './end-of.ts';
import type { Journal } from './journal.ts';
import { type AttemptOptions, parkPoison, performAttempt, type Settlement } from './perform-attempt.ts';
import { type Pause, publishUntilConfirmed } from './publish-until-confirmed.ts';
import { isSuspect, type Suspect, Suspects } from './suspects.ts';

export interface SmsSenderOptions {
  /** One source for each lane, in the order of LANES. */
  readonly sources: readonly DeliverySource[];
  readonly lanes?: readonly Lane[];
  readonly attempt: AttemptOptions;
  readonly publisher: Publisher;
  readonly journal: Journal;
  readonly marks: StartMarks;
  readonly pause: Pause;
  readonly concurrency: number;
  /**
   * Deliveries that may have begun and not ended, those of dead channels included: what RabbitMQ hands out at once.
   * Under an alarm nothing ends, and deliveries of dead channels would add up without this.
   */
  readonly maxUnfinished: number;
  readonly log: Logger;
}

export class SmsSender {
  readonly #options: SmsSenderOptions;
  readonly #turns: LaneTurns;
  readonly #waiting: Delivery[][];
  readonly #suspects: Suspects;
  #sendingCount = 0;
  /** With the gateway or being confirmed. */
  #unfinishedCount = 0;
  #isDraining = false;
  #isStopped = false;
  #onIdle: () => void = () => {};

  constructor(options: SmsSenderOptions) {
    this.#options = options;
    const lanes = options.lanes ?? LANES;
    this.#turns = new LaneTurns(lanes);
    this.#waiting = lanes.map(() => []);
    this.#suspects = new Suspects({
      marks: options.marks,
      identify: ({ message }) => identityOfUnreadable(message, options.attempt.digest),
      log: options.log,
      onReady: () => this.#sendNext(),
    });
  }

  start(): void {
    this.#options.sources.forEach((source, laneIndex) => {
      source.start((delivery) => {
        if (isSuspect(delivery)) {
          void this.#suspects.add(delivery);
        } else {
          this.#waiting[laneIndex]?.push(delivery);
          this.#sendNext();
        }
      });
    });
  }

  /**
   * Takes no more, finishes what is with the gateway or being confirmed.
   * @param deadline aborts what does not fit
   * @returns how many deliveries were left unfinished; they stay unacknowledged
   */
  async drain(deadline: AbortSignal): Promise<number> {
    this.#isDraining = true;
    const isOver = endOf(deadline);
    await Promise.race([isOver, Promise.all(this.#options.sources.map((source) => source.cancel()))]);
    // Those not begun go back when the channel closes.
    for (const lane of this.#waiting) lane.length = 0;
    this.#suspects.clear();
    this.#options.journal.flush();
    const isIdle = new Promise<void>((resolve) => {
      this.#onIdle = resolve;
    });
    if (this.#unfinishedCount > 0) await Promise.race([isOver, isIdle]);
    const left = this.#unfinishedCount;
    this.#isStopped = true;
    this.#options.attempt.gateway.close();
    return left;
  }

  #sendNext(): void {
    const { concurrency, maxUnfinished } = this.#options;
    while (!this.#isDraining && this.#sendingCount < concurrency && this.#unfinishedCount < maxUnfinished) {
      const turn = this.#suspects.next(this.#unfinishedCount);
      if (turn === 'wait') return;
      if (turn !== 'anybody') {
        void this.#handle(turn.delivery, turn);
      } else {
        const delivery = this.#takeFromLanes();
        if (delivery === undefined) return;
        if (delivery.isLive()) void this.#handle(delivery);
      }
    }
  }

  #takeFromLanes(): Delivery | undefined {
    const laneIndex = this.#turns.take(this.#waiting);
    return laneIndex === undefined ? undefined : this.#waiting[laneIndex]?.shift();
  }

  readonly #isStopping = (delivery: Delivery): boolean => this.#isStopped || !delivery.isLive();

  // One asynchronous function and one for the attempt: each more takes 2 % of what a sender does for an SMS.
  async #handle(delivery: Delivery, suspect?: Suspect): Promise<void> {
    this.#unfinishedCount += 1;
    this.#sendingCount += 1;
    let settlement: Settlement | undefined;
    try {
      settlement =
        suspect === undefined
          ? await performAttempt(delivery, this.#options.attempt, this.#isStopping)
          : await this.#sendSuspect(suspect);
    } catch (error) {
      if (!this.#isStopping(delivery))
        this.#options.log.error({ err: error }, 'attempt broke off, its SMS comes again');
    }
    this.#sendingCount -= 1;
    this.#sendNext();
    try {
      if (settlement !== undefined && delivery.isLive()) await this.#confirm(delivery, settlement);
    } catch (error) {
      if (!this.#isStopped)
        this.#options.log.error({ err: error }, 'SMS could not be passed on, it comes again');
    }
    if (suspect !== undefined) await this.#suspects.end(suspect);
    const wasFull = this.#unfinishedCount >= this.#options.maxUnfinished;
    this.#unfinishedCount -= 1;
    // A suspect that wants to be alone waits for the last of the others, and the others for its end.
    if (wasFull || suspect !== undefined || this.#suspects.areWaiting) this.#sendNext();
    if (this.#unfinishedCount === 0) this.#onIdle();
  }

  async #sendSuspect(suspect: Suspect): Promise<Settlement> {
    const { delivery, manner } = suspect;
    const { attempt } = this.#options;
    await this.#suspects.begin(suspect);
    return manner === 'park'
      ? parkPoison(delivery, attempt)
      : performAttempt(delivery, attempt, this.#isStopping);
  }

  // Confirm the retry and the journal before acknowledging the delivery: a crash in between repeats the attempt,
  // and repeating an SMS is better than losing one.
  async #confirm(delivery: Delivery, settlement: Settlement): Promise<void> {
    const { journal } = this.#options;
    const { journalLine, message } = settlement;
    const journalled = journalLine === undefined ? undefined : journal.append(journalLine);
    if (this.#isDraining) journal.flush();
    const isPublished = message === undefined || (await this.#publish(delivery, settlement));
    await journalled;
    if (isPublished) delivery.acknowledge();
  }

  async #publish(delivery: Delivery, { message, plainMessage }: Settlement): Promise<boolean> {
    if (message === undefined) return true;
    const { publisher, pause } = this.#options;
    const isWanted = () => delivery.isLive() && !this.#isStopped;
    try {
      return await publishUntilConfirmed(publisher, message, pause, isWanted);
    } catch (error) {
      if (!(error instanceof UnencodableError) || plainMessage === undefined) throw error;
      this.#options.log.warn({ err: error }, 'foreign headers cannot be passed on and are dropped');
      return publishUntilConfirmed(publisher, plainMessage, pause, isWanted);
    }
  }
}
