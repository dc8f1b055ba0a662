/**
 * The life of a sender: deliveries wait by lane, up to `concurrency` of them are with the gateway at once, and
 * each is acknowledged when what it led to is confirmed. Waiting for confirms takes no place from a send.
 *
 *   handed over (-> held until it is due) -> waiting in its lane -> with the gateway -> being confirmed -> acknowledged
 *
 * What is held takes no place of `concurrency`: senders whose clocks are behind hold most of what comes back, and fresh SMS
 * must not wait for it. It takes a place of its lane's prefetch, for as long as it is early.
 *
 * A delivery whose channel dies is dropped wherever it is: RabbitMQ hands the message out again. One that was handed
 * out again and again may be what kills its sender, and begins as suspects.ts says. What throws on a channel that lives
 * is parked, as pass-on.ts says, and is not given to the gateway again.
 */
import { LANES, type Lane, LaneTurns } from '../shared/domain/lanes.ts';
import { identityOfUnreadable } from '../shared/domain/parking.ts';
import type { Delivery, DeliverySource, Logger, StartMarks } from '../shared/ports.ts';
import { endOf } from './end-of.ts';
import type { Journal } from './journal.ts';
import { historyOf, parkDeadLetter, parkPoison } from './park.ts';
import type { PassOn } from './pass-on.ts';
import { type AttemptOptions, MAX_HOLD_MS, performAttempt } from './perform-attempt.ts';
import type { Settlement } from './settlement.ts';
import { isSuspect, type Suspect, Suspects } from './suspects.ts';

export interface SmsSenderOptions {
  /** One source for each lane, in the order of LANES. */
  readonly sources: readonly DeliverySource[];
  readonly lanes?: readonly Lane[];
  /** What RabbitMQ itself took out of its queues: parked with a record. */
  readonly deadLetters: DeliverySource;
  readonly attempt: AttemptOptions;
  readonly passOn: PassOn;
  readonly journal: Journal;
  readonly marks: StartMarks;
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
  readonly #waitingDeadLetters: Delivery[] = [];
  /** Deliveries that are held, in the order they came, and what ends their wait. */
  readonly #held = new Map<Delivery, () => void>();
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
        if (isSuspect(delivery)) return void this.#suspect(delivery);
        this.#take(delivery, laneIndex);
      });
    });
    this.#options.deadLetters.start((delivery) => {
      this.#waitingDeadLetters.push(delivery);
      this.#sendNext();
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
    const { sources, deadLetters } = this.#options;
    await Promise.race([isOver, Promise.all([...sources, deadLetters].map((source) => source.cancel()))]);
    // Those not begun go back when the channel closes.
    for (const lane of [...this.#waiting, this.#waitingDeadLetters]) lane.length = 0;
    for (const letGo of this.#held.values()) letGo();
    this.#suspects.clear();
    this.#options.journal.startDraining();
    const isIdle = new Promise<void>((resolve) => {
      this.#onIdle = resolve;
    });
    if (this.#unfinishedCount > 0) await Promise.race([isOver, isIdle]);
    const left = this.#unfinishedCount;
    this.#isStopped = true;
    this.#options.passOn.stop();
    this.#options.attempt.gateway.close();
    return left;
  }

  #take(delivery: Delivery, laneIndex: number): void {
    const { clock } = this.#options.attempt;
    const { notBefore } = delivery.message.headers;
    const earlyMs = typeof notBefore === 'number' ? notBefore - clock.nowMs() : 0;
    if (earlyMs > 0 && earlyMs <= MAX_HOLD_MS) {
      this.#hold(delivery, laneIndex, earlyMs);
    } else {
      this.#wait(delivery, laneIndex);
      this.#sendNext();
    }
  }

  #hold(delivery: Delivery, laneIndex: number, earlyMs: number): void {
    const [oldest] = this.#held.keys();
    if (oldest?.isLive() === false) this.#letDeadGo();
    const letGo = this.#options.attempt.clock.after(earlyMs, () => {
      this.#held.delete(delivery);
      if (delivery.isLive()) this.#take(delivery, laneIndex);
    });
    this.#held.set(delivery, letGo);
  }

  // They come again: keeping them would add up over many deaths.
  #letDeadGo(): void {
    for (const [delivery, letGo] of this.#held) {
      if (delivery.isLive()) continue;
      letGo();
      this.#held.delete(delivery);
    }
  }

  #wait(delivery: Delivery, laneIndex: number): void {
    const lane = this.#waiting[laneIndex];
    if (lane === undefined) return;
    lane.push(delivery);
    // What came on a channel that died comes again: keeping it would add up over many deaths.
    if (lane[0]?.isLive() === false) this.#waiting[laneIndex] = lane.filter((each) => each.isLive());
  }

  async #suspect(delivery: Delivery): Promise<void> {
    try {
      await this.#suspects.add(delivery);
    } catch (error) {
      await this.#options.passOn.parkBroken(delivery, error);
    }
  }

  #sendNext(): void {
    const { concurrency, maxUnfinished } = this.#options;
    while (!this.#isDraining && this.#sendingCount < concurrency && this.#unfinishedCount < maxUnfinished) {
      const turn = this.#suspects.next(this.#unfinishedCount);
      if (turn === 'wait') return;
      if (turn !== 'anybody') {
        void this.#handle(turn.delivery, turn);
      } else {
        const deadLetter = this.#waitingDeadLetters.shift();
        const delivery = deadLetter ?? this.#takeFromLanes();
        if (delivery === undefined) return;
        if (delivery.isLive()) void this.#handle(delivery, undefined, deadLetter !== undefined);
      }
    }
  }

  #takeFromLanes(): Delivery | undefined {
    const laneIndex = this.#turns.take(this.#waiting);
    return laneIndex === undefined ? undefined : this.#waiting[laneIndex]?.shift();
  }

  readonly #isStopping = (delivery: Delivery): boolean => this.#isStopped || !delivery.isLive();

  // One asynchronous function and one for the attempt: each more takes 2 % of what a sender does for an SMS. Whatever is
  // declared here is kept for each SMS with the gateway, so the rest is done in plain functions.
  async #handle(delivery: Delivery, suspect?: Suspect, isDeadLetter = false): Promise<void> {
    this.#unfinishedCount += 1;
    this.#sendingCount += 1;
    let settlement: Settlement | undefined;
    let failure: unknown;
    try {
      settlement = await this.#settle(delivery, suspect, isDeadLetter);
    } catch (error) {
      failure = error;
    }
    this.#sendingCount -= 1;
    this.#sendNext();
    this.#passOn(delivery, settlement, failure, suspect);
  }

  #settle(
    delivery: Delivery,
    suspect: Suspect | undefined,
    isDeadLetter: boolean,
  ): Settlement | Promise<Settlement> {
    const { attempt } = this.#options;
    if (isDeadLetter) return parkDeadLetter(delivery.message, attempt);
    if (suspect !== undefined) return this.#sendSuspect(suspect);
    return performAttempt(delivery, attempt, this.#isStopping);
  }

  #passOn(
    delivery: Delivery,
    settlement: Settlement | undefined,
    failure: unknown,
    suspect: Suspect | undefined,
  ): void {
    const { passOn } = this.#options;
    const onOver = suspect === undefined ? this.#end : () => void this.#endSuspect(suspect);
    if (this.#isStopping(delivery)) onOver();
    else if (settlement !== undefined) passOn.confirmThen(delivery, settlement, onOver);
    else void passOn.parkBroken(delivery, failure, historyOf(delivery.message)).then(onOver);
  }

  readonly #end = (): void => {
    const wasFull = this.#unfinishedCount >= this.#options.maxUnfinished;
    this.#unfinishedCount -= 1;
    // A suspect that wants to be alone waits for the last of the others.
    if (wasFull || this.#suspects.areWaiting) this.#sendNext();
    if (this.#unfinishedCount === 0) this.#onIdle();
  };

  async #endSuspect(suspect: Suspect): Promise<void> {
    await this.#suspects.end(suspect);
    this.#end();
    // The others wait for its end.
    this.#sendNext();
  }

  async #sendSuspect(suspect: Suspect): Promise<Settlement> {
    const { delivery, manner } = suspect;
    const { attempt } = this.#options;
    await this.#suspects.begin(suspect);
    return manner === 'park'
      ? parkPoison(delivery.message, attempt)
      : performAttempt(delivery, attempt, this.#isStopping);
  }
}
