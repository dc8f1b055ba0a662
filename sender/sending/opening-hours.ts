import { closingFrom, openingFrom, type SendingWindow } from '../../shared/domain/schedule/sending-window.ts';
import type { Clock } from '../../shared/ports/clock.ts';
import type { Logger } from '../../shared/ports/logger.ts';

export interface OpeningHoursOptions {
  /** Undefined: always open. */
  readonly window: SendingWindow | undefined;
  readonly clock: Clock;
  readonly log: Logger;
  /** It has opened or closed. */
  readonly onChange: () => void;
}

// Timers cannot wait for a month, and the clock may be set.
const LOOK_AGAIN_MS = 60_000;

/** Tells a sender when the sending window closes and opens. */
export class OpeningHours {
  readonly #options: OpeningHoursOptions;
  #isClosed = false;
  #cancelTimer = () => {};

  constructor(options: OpeningHoursOptions) {
    this.#options = options;
  }

  /** How long the window stays closed, in milliseconds; 0 while it is open. */
  get leftMs(): number {
    const { window, clock } = this.#options;
    if (window === undefined || !this.#isClosed) return 0;
    const nowMs = clock.nowMs();
    return openingFrom(window, nowMs) - nowMs;
  }

  start(): void {
    if (this.#options.window !== undefined) this.#look(this.#options.window);
  }

  stop(): void {
    this.#cancelTimer();
  }

  #look(window: SendingWindow): void {
    const { clock, log, onChange } = this.#options;
    const nowMs = clock.nowMs();
    const openingMs = openingFrom(window, nowMs);
    const isClosed = openingMs > nowMs;
    const changeMs = isClosed ? openingMs : closingFrom(window, nowMs);
    this.#cancelTimer = clock.after(Math.min(changeMs - nowMs, LOOK_AGAIN_MS), () => this.#look(window));
    if (isClosed === this.#isClosed) return;
    this.#isClosed = isClosed;
    log.info(
      { window: window.text },
      isClosed ? 'the sending window is closed' : 'the sending window is open',
    );
    onChange();
  }
}
