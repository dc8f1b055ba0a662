/**
 * The life of a sender. Deliveries wait by lane. At most `concurrency` of them are with the gateway at once. Each is
 * acknowledged when what it led to is confirmed; a delivery that waits for its confirm takes no place of `concurrency`.
 *
 *   handed over (-> held until it is due) -> waiting in its lane -> with the gateway -> being confirmed -> acknowledged
 *
 * A delivery that is held takes no place of `concurrency` either. A sender whose clock is behind holds most retries that
 * come back, and fresh SMS must not wait for them. A held delivery takes a place of its lane's prefetch count.
 *
 * While the gateway is paused (gateway-pause.ts) nothing begins, and deliveries stay in the hand, those first that the carrier did not
 * take. A sender rests where the pause is longer than 30 s or the sending window is closed: it stops consuming its lanes and
 * gives back what it has in hand by way of the hold queues. Kept, a delivery would run into RabbitMQ's timeout for consumers.
 *
 * A delivery whose channel dies is dropped, wherever it is: RabbitMQ hands the message out again. A delivery that was
 * handed out again and again may be what kills its sender: suspects.ts says how it begins. A delivery whose handling
 * throws on a living channel is parked (pass-on.ts) and is not given to the gateway again.
 */

import type { Throttled } from '../../shared/domain/outcome/attempt.ts';
import { identityOfUnreadable } from '../../shared/domain/sms/parking.ts';
import { LANES, LaneTurns } from '../../shared/domain/topology/lanes.ts';
import { historyOf, parkDeadLetter, parkPoison } from '../../shared/pipeline/attempt/park.ts';
import {
  type AttemptOptions,
  giveBack,
  MAX_HOLD_MS,
  performAttempt,
} from '../../shared/pipeline/attempt/perform-attempt.ts';
import type { Settlement } from '../../shared/pipeline/attempt/settlement.ts';
import { isSuspect, type Suspect, Suspects } from '../../shared/pipeline/attempt/suspects.ts';
import { abortOf } from '../../shared/pipeline/waiting.ts';
import type { Delivery, DeliverySource } from '../../shared/ports/delivery-source.ts';
import type { PauseBoard } from '../../shared/ports/gateway.ts';
import type { StartMarks } from '../../shared/ports/start-marks.ts';
import type { Journal } from '../recording/journal.ts';
import { GatewayPause } from './gateway-pause.ts';
import { HeldDeliveries } from './held-deliveries.ts';
import { MeasuredGateway } from './measured-gateway.ts';
import { OpeningHours } from './opening-hours.ts';
import type { PassOn } from './pass-on.ts';
import { PauseSharing } from './pause-sharing.ts';

export interface SmsSenderOptions extends AttemptOptions {
  /** One source for each lane, in the order of LANES. */
  readonly laneSources: readonly DeliverySource[];
  /** What RabbitMQ itself took out of its queues: parked with a record. */
  readonly deadLetterSource: DeliverySource;
  readonly passOn: PassOn;
  readonly journal: Journal;
  readonly marks: StartMarks;
  readonly concurrency: number;
  /**
   * Deliveries that may have begun and not ended, those of dead channels included: as many as RabbitMQ hands out at once.
   * Under an alarm no delivery ends, and without this bound deliveries of dead channels would add up.
   */
  readonly maxUnfinished: number;
  /** Uniform in [0, 1), for the length of pauses. Default: each is as long as it may be. */
  readonly random?: () => number;
  /** Where senders share their pauses. Default: each pauses for itself. */
  readonly pauseBoard?: PauseBoard;
}

/** A longer pause is a rest. */
const REST_FROM_MS = 30_000;

export class SmsSender {
  readonly #options: SmsSenderOptions;
  readonly #turns = new LaneTurns();
  readonly #waiting: Delivery[][] = LANES.map(() => []);
  readonly #waitingDeadLetters: Delivery[] = [];
  readonly #held: HeldDeliveries;
  readonly #suspects: Suspects;
  #sendingCount = 0;
  /** With the gateway or being confirmed. */
  #unfinishedCount = 0;
  /** Deliveries whose SMS the carrier did not take. */
  readonly #throttled: Delivery[] = [];
  readonly #pause: GatewayPause;
  readonly #hours: OpeningHours;
  readonly #sharing: PauseSharing | undefined;
  #isResting = false;
  #isDraining = false;
  #isStopped = false;
  #onIdle: () => void = () => {};

  constructor(options: SmsSenderOptions) {
    const { clock, log, concurrency, window, random = () => 1, pauseBoard } = options;
    const gateway = new MeasuredGateway(options.gateway, clock);
    this.#options = { ...options, gateway };
    const onChange = () => this.#adapt();
    const meanSendMs = () => gateway.meanMs;
    this.#held = new HeldDeliveries(clock);
    this.#pause = new GatewayPause({ clock, random, log, concurrency, meanSendMs, onChange });
    this.#hours = new OpeningHours({ window, clock, log, onChange });
    if (pauseBoard !== undefined) this.#sharing = new PauseSharing(this.#pause, pauseBoard, clock);
    this.#suspects = new Suspects({
      marks: options.marks,
      identify: ({ message }) => identityOfUnreadable(message, options.digest),
      log: options.log,
      onReady: () => {
        if (this.#isResting) this.#giveBackAll(this.#suspects.takeUnsent());
        this.#sendNext();
      },
    });
  }

  /** SMS that are with the gateway, whether it pauses, and how often it has said "not now" since the start. */
  get load() {
    const { leftMs, throttledCount } = this.#pause;
    return { inFlight: this.#sendingCount, isGatewayPaused: leftMs > 0, throttledCount };
  }

  start(): void {
    this.#hours.start();
    this.#sharing?.start();
    if (!this.#isResting) this.#consume();
    this.#options.deadLetterSource.start((delivery) => {
      this.#waitingDeadLetters.push(delivery);
      this.#sendNext();
    });
  }

  #consume(): void {
    this.#options.laneSources.forEach((source, laneIndex) => {
      source.start((delivery) => {
        if (isSuspect(delivery)) return void this.#suspect(delivery);
        this.#take(delivery, laneIndex);
      });
    });
  }

  /** A pause or the sending window has changed. */
  #adapt(): void {
    if (this.#isDraining) return;
    this.#sharing?.tell();
    const isWindowClosed = this.#hours.leftMs > 0;
    if (!this.#isResting && (isWindowClosed || this.#pause.leftMs > REST_FROM_MS)) this.#rest();
    else if (this.#isResting && !isWindowClosed && this.#pause.leftMs === 0) {
      this.#isResting = false;
      this.#consume();
    }
    this.#sendNext();
  }

  /** Nothing may begin for long: other queues than the hand of this sender are there to wait in. */
  #rest(): void {
    this.#isResting = true;
    for (const source of this.#options.laneSources) void source.cancel();
    for (const lane of [this.#throttled, ...this.#waiting]) this.#giveBackAll(lane.splice(0));
    this.#giveBackAll([...this.#held.takeAll(), ...this.#suspects.takeUnsent()]);
  }

  #giveBackAll(deliveries: readonly Delivery[]): void {
    const waitMs = Math.max(this.#hours.leftMs, this.#pause.leftMs);
    const { passOn } = this.#options;
    for (const delivery of deliveries) {
      if (!delivery.isLive()) continue;
      this.#unfinishedCount += 1;
      try {
        passOn.confirmThen(delivery, giveBack(delivery.message, waitMs, this.#options), this.#end);
      } catch (error) {
        void passOn.parkBroken(delivery, error, historyOf(delivery.message)).then(this.#end);
      }
    }
  }

  /**
   * Takes no more, finishes what is with the gateway or being confirmed.
   * @param deadline aborts what does not fit
   * @returns how many deliveries were left unfinished; they stay unacknowledged
   */
  async drain(deadline: AbortSignal): Promise<number> {
    this.#isDraining = true;
    this.#pause.stop();
    this.#hours.stop();
    this.#sharing?.stop();
    const isOver = abortOf(deadline);
    const sources = [...this.#options.laneSources, this.#options.deadLetterSource];
    await Promise.race([isOver, Promise.all(sources.map((source) => source.cancel()))]);
    // Deliveries that have not begun go back to RabbitMQ when the channel closes.
    for (const lane of [...this.#waiting, this.#waitingDeadLetters, this.#throttled]) lane.length = 0;
    this.#held.takeAll();
    this.#suspects.clear();
    this.#options.journal.startDraining();
    const isIdle = new Promise<void>((resolve) => {
      this.#onIdle = resolve;
    });
    if (this.#unfinishedCount > 0) await Promise.race([isOver, isIdle]);
    const left = this.#unfinishedCount;
    this.#isStopped = true;
    this.#options.passOn.stop();
    this.#options.gateway.close();
    return left;
  }

  #take(delivery: Delivery, laneIndex: number): void {
    const { clock } = this.#options;
    const { notBefore } = delivery.message.headers;
    const earlyMs = typeof notBefore === 'number' ? notBefore - clock.nowMs() : 0;
    if (this.#isResting) {
      this.#giveBackAll([delivery]);
    } else if (earlyMs > 0 && earlyMs < MAX_HOLD_MS) {
      this.#held.hold(delivery, earlyMs, () => this.#take(delivery, laneIndex));
    } else {
      this.#wait(delivery, laneIndex);
      this.#sendNext();
    }
  }

  #wait(delivery: Delivery, laneIndex: number): void {
    const lane = this.#waiting[laneIndex];
    if (lane === undefined) return;
    lane.push(delivery);
    // Kept, they would add up: deliveries of a dead channel come again.
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
      const mayBegin = !this.#isResting && this.#pause.mayBegin();
      const turn = this.#suspects.next(this.#unfinishedCount, mayBegin);
      if (turn === 'wait') return;
      if (turn !== 'anybody') {
        void this.#handle(turn.delivery, turn);
      } else {
        const deadLetter = this.#waitingDeadLetters.shift();
        const delivery = deadLetter ?? (mayBegin ? this.#takeUnsent() : undefined);
        if (delivery === undefined) return;
        if (delivery.isLive()) void this.#handle(delivery, undefined, deadLetter !== undefined);
      }
    }
  }

  #takeUnsent(): Delivery | undefined {
    return this.#throttled.shift() ?? this.#takeFromLanes();
  }

  #takeFromLanes(): Delivery | undefined {
    const laneIndex = this.#turns.take(this.#waiting);
    return laneIndex === undefined ? undefined : this.#waiting[laneIndex]?.shift();
  }

  readonly #isStopping = (delivery: Delivery): boolean => this.#isStopped || !delivery.isLive();

  // Only this function and performAttempt are asynchronous: each further one takes 2 % of a sender's time for an SMS. Whatever
  // is declared here is kept for each SMS with the gateway, so plain functions do the rest.
  async #handle(delivery: Delivery, suspect?: Suspect, isDeadLetter = false): Promise<void> {
    this.#unfinishedCount += 1;
    this.#sendingCount += 1;
    const sendNumber = isDeadLetter || suspect?.manner === 'park' ? 0 : this.#pause.begin();
    let settlement: Settlement | Throttled | undefined;
    let failure: unknown;
    try {
      settlement = await this.#settle(delivery, suspect, isDeadLetter);
    } catch (error) {
      failure = error;
    }
    this.#sendingCount -= 1;
    // A pause must have begun before the next SMS would.
    if (settlement === undefined || !isThrottled(settlement)) this.#pause.noteTaken(sendNumber);
    else this.#pause.noteThrottled(sendNumber, settlement.untilMs);
    this.#sendNext();
    this.#passOn(delivery, settlement, failure, suspect);
  }

  #settle(
    delivery: Delivery,
    suspect: Suspect | undefined,
    isDeadLetter: boolean,
  ): Settlement | Promise<Settlement | Throttled> {
    if (isDeadLetter) return parkDeadLetter(delivery.message, this.#options);
    if (suspect !== undefined) return this.#sendSuspect(suspect);
    return performAttempt(delivery, this.#options, this.#isStopping);
  }

  #passOn(
    delivery: Delivery,
    settlement: Settlement | Throttled | undefined,
    failure: unknown,
    suspect: Suspect | undefined,
  ): void {
    const { passOn } = this.#options;
    const onOver = suspect === undefined ? this.#end : () => void this.#endSuspect(suspect);
    if (this.#isStopping(delivery)) onOver();
    else if (settlement === undefined)
      void passOn.parkBroken(delivery, failure, historyOf(delivery.message)).then(onOver);
    else if (isThrottled(settlement)) this.#keep(delivery, suspect);
    else passOn.confirmThen(delivery, settlement, onOver);
  }

  /** The SMS stays in the hand until the carrier takes SMS again. */
  #keep(delivery: Delivery, suspect: Suspect | undefined): void {
    // Its next start must be marked again.
    if (suspect !== undefined) return void this.#endSuspect(suspect).then(() => this.#suspect(delivery));
    this.#end();
    if (this.#isDraining) return;
    if (this.#isResting) this.#giveBackAll([delivery]);
    else this.#throttled.push(delivery);
    this.#sendNext();
  }

  readonly #end = (): void => {
    const wasFull = this.#unfinishedCount >= this.#options.maxUnfinished;
    this.#unfinishedCount -= 1;
    // A suspect that must be alone waits for the end of all others.
    if (wasFull || this.#suspects.areWaiting) this.#sendNext();
    if (this.#unfinishedCount === 0) this.#onIdle();
  };

  async #endSuspect(suspect: Suspect): Promise<void> {
    await this.#suspects.end(suspect);
    this.#end();
    // The other deliveries wait for the end of a suspect that was alone.
    this.#sendNext();
  }

  async #sendSuspect(suspect: Suspect): Promise<Settlement | Throttled> {
    const { delivery, manner } = suspect;
    await this.#suspects.begin(suspect);
    return manner === 'park'
      ? parkPoison(delivery.message, this.#options)
      : performAttempt(delivery, this.#options, this.#isStopping);
  }
}

function isThrottled(settlement: Settlement | Throttled): settlement is Throttled {
  return 'kind' in settlement;
}
