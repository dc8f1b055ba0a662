/**
 * When a sender may begin SMS, as far as the gateway is concerned.
 *
 *   open ── throttled ──► paused ── the moment has come ──► ramping ── after 3.3 s ──► open
 *                           ▲                                  │
 *                           └──────────── throttled ───────────┘
 *
 * A pause lasts until the moment that the gateway told. Where it told none, the pause lasts up to 1 s, and up to twice as long
 * after each pause in which the gateway took nothing, to at most 30 s. The length is drawn between nothing and that bound, so
 * that senders that were throttled together do not come back together.
 *
 * Many sends are on their way when a pause begins, and most of them are throttled too. Each send has a number, and the pause
 * remembers the last one that began before it. Answers to these sends tell nothing new: they extend the pause only where they
 * tell a later moment.
 *
 * After a pause the sender begins a tenth of what it can begin when open, and twice as much each second. The rate grows
 * steadily and not once a second: a carrier is then met a little above its capacity and not at twice of it.
 */
import { isoTime } from '../../shared/domain/iso-time.ts';
import type { Clock } from '../../shared/ports/clock.ts';
import type { Logger } from '../../shared/ports/logger.ts';

export interface GatewayPauseOptions {
  readonly clock: Clock;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly log: Logger;
  /** SMS being sent at once. */
  readonly concurrency: number;
  /** How long a send takes; undefined where no send has been measured. */
  readonly meanSendMs: () => number | undefined;
  /** A pause has begun, was extended or has ended, or the next SMS of a ramp may begin. */
  readonly onChange: () => void;
}

const FIRST_PAUSE_MS = 1_000;
const MAX_PAUSE_MS = 30_000;
const TOLD_AFTER_MS = 1_000;
// Timers cannot wait for a month, and the clock may be set forward.
const LOOK_AGAIN_MS = 60_000;
const RAMP_FROM = 0.1;
const RAMP_DOUBLES_MS = 1_000;
const RAMP_MS = RAMP_DOUBLES_MS * Math.log2(1 / RAMP_FROM);
const MIN_PER_MS = 0.001;
/** What a ramp may catch up on where the sender came late or had nothing to send. */
const CATCH_UP_MS = 100;
const ASSUMED_SEND_MS = 1_000;

export class GatewayPause {
  readonly #options: GatewayPauseOptions;
  #state: 'open' | 'paused' | 'ramping' = 'open';
  #untilMs = 0;
  #ownUntilMs = 0;
  #begunCount = 0;
  /** The last send that began before the latest pause. */
  #lastBeforePause = 0;
  /** Whether the gateway took an SMS that began after the latest pause. */
  #hasTaken = true;
  #fruitlessPauses = 0;
  #throttledCount = 0;
  #isTold = false;
  #rampSinceMs = 0;
  #rampFromPerMs = 0;
  #nextBeginMs = 0;
  #cancelTimer: (() => void) | undefined;

  constructor(options: GatewayPauseOptions) {
    this.#options = options;
  }

  /** Answers that said "not now". */
  get throttledCount(): number {
    return this.#throttledCount;
  }

  /** How long the pause still lasts, in milliseconds; 0 where there is none. */
  get leftMs(): number {
    return this.#state === 'paused' ? Math.max(0, this.#untilMs - this.#options.clock.nowMs()) : 0;
  }

  /** The end of the latest pause that an answer to this sender began or extended, milliseconds since the epoch; 0 before. */
  get ownUntilMs(): number {
    return this.#ownUntilMs;
  }

  /** Whether an SMS may begin now. Where one may begin soon, `onChange` tells when. */
  mayBegin(): boolean {
    if (this.#state === 'open') return true;
    return this.#state === 'ramping' && this.#mayBeginInRamp();
  }

  /** An SMS is given to the gateway. @returns the number of this send */
  begin(): number {
    if (this.#state === 'ramping') this.#spend();
    this.#begunCount += 1;
    return this.#begunCount;
  }

  /** The gateway took the SMS of that send, whatever became of it. */
  noteTaken(sendNumber: number): void {
    if (sendNumber > this.#lastBeforePause) this.#hasTaken = true;
  }

  /** The gateway did not take it. @param toldMs when it takes SMS again, milliseconds since the epoch, where it says so */
  noteThrottled(sendNumber: number, toldMs?: number): void {
    this.#throttledCount += 1;
    const nowMs = this.#options.clock.nowMs();
    const isTold = toldMs !== undefined && toldMs > nowMs && Number.isFinite(toldMs);
    const isNew = sendNumber > this.#lastBeforePause;
    if (!isTold && !isNew) return;
    if (isNew) this.#fruitlessPauses = this.#hasTaken ? 0 : this.#fruitlessPauses + 1;
    const untilMs = isTold ? toldMs : nowMs + this.#drawPauseMs();
    this.#ownUntilMs = Math.max(this.#ownUntilMs, untilMs);
    this.#pauseUntil(untilMs);
  }

  /** Another sender was throttled. @param leftMs how long its pause still lasts */
  learn(leftMs: number): void {
    if (leftMs > 0) this.#pauseUntil(this.#options.clock.nowMs() + leftMs);
  }

  /** No change is told any more. */
  stop(): void {
    this.#cancelTimer?.();
  }

  #drawPauseMs(): number {
    return this.#options.random() * Math.min(MAX_PAUSE_MS, FIRST_PAUSE_MS * 2 ** this.#fruitlessPauses);
  }

  #pauseUntil(untilMs: number): void {
    if (this.#state === 'paused' && untilMs <= this.#untilMs) return;
    if (this.#state !== 'paused') {
      this.#state = 'paused';
      this.#lastBeforePause = this.#begunCount;
      this.#hasTaken = false;
    }
    this.#untilMs = untilMs;
    if (!this.#isTold && this.leftMs > TOLD_AFTER_MS) {
      this.#isTold = true;
      this.#options.log.warn({ until: isoTime(Math.ceil(untilMs)) }, 'the carrier throttles: sending pauses');
    }
    this.#waitForEnd();
    this.#options.onChange();
  }

  #waitForEnd(): void {
    const { clock } = this.#options;
    const waitMs = Math.min(this.leftMs, LOOK_AGAIN_MS);
    const overMs = clock.nowMs() + waitMs;
    this.#wakeAfter(waitMs, () => {
      // A clock that was set back meanwhile must not lengthen the pause.
      this.#untilMs -= Math.max(0, overMs - clock.nowMs());
      if (this.leftMs > 0) return this.#waitForEnd();
      this.#ramp();
      this.#options.onChange();
    });
  }

  #ramp(): void {
    const { clock, concurrency, meanSendMs, log } = this.#options;
    if (this.#isTold) log.info({}, 'the pause of the carrier is over: sending goes on');
    this.#isTold = false;
    this.#state = 'ramping';
    this.#rampSinceMs = clock.nowMs();
    this.#nextBeginMs = this.#rampSinceMs;
    this.#rampFromPerMs = (RAMP_FROM * concurrency) / Math.max(1, meanSendMs() ?? ASSUMED_SEND_MS);
  }

  #mayBeginInRamp(): boolean {
    const nowMs = this.#options.clock.nowMs();
    // The clock was set back.
    if (nowMs < this.#rampSinceMs) this.#rampSinceMs = this.#nextBeginMs = nowMs;
    if (nowMs - this.#rampSinceMs >= RAMP_MS) {
      this.#state = 'open';
      return true;
    }
    if (nowMs >= this.#nextBeginMs) return true;
    if (this.#cancelTimer === undefined)
      this.#wakeAfter(Math.ceil(this.#nextBeginMs - nowMs), this.#options.onChange);
    return false;
  }

  #spend(): void {
    const nowMs = this.#options.clock.nowMs();
    const perMs = this.#rampFromPerMs * 2 ** ((nowMs - this.#rampSinceMs) / RAMP_DOUBLES_MS);
    this.#nextBeginMs = Math.max(this.#nextBeginMs, nowMs - CATCH_UP_MS) + 1 / Math.max(perMs, MIN_PER_MS);
  }

  #wakeAfter(delayMs: number, wake: () => void): void {
    this.#cancelTimer?.();
    this.#cancelTimer = this.#options.clock.after(delayMs, () => {
      this.#cancelTimer = undefined;
      wake();
    });
  }
}
