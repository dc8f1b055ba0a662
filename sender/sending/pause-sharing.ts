import type { Clock } from '../../shared/ports/clock.ts';
import type { PauseBoard } from '../../shared/ports/gateway.ts';
import type { GatewayPause } from './gateway-pause.ts';

const EXCHANGE_EVERY_MS = 1_000;

/**
 * Tells the other senders of a pause at once, and asks once a second for theirs. A pause that was learned is not told again:
 * it would grow a little each time. While the board is away each sender pauses for itself, and tells its pause when the board
 * is back.
 */
export class PauseSharing {
  readonly #pause: GatewayPause;
  readonly #board: PauseBoard;
  readonly #clock: Clock;
  /** The end of the pause that the others know, by our clock. */
  #sharedUntilMs = 0;
  #sharedCount = 0;
  #isAsking = false;
  #isStopped = false;
  #cancelTimer = () => {};

  constructor(pause: GatewayPause, board: PauseBoard, clock: Clock) {
    this.#pause = pause;
    this.#board = board;
    this.#clock = clock;
  }

  start(): void {
    void this.#exchange();
    this.#cancelTimer = this.#clock.after(EXCHANGE_EVERY_MS, () => this.start());
  }

  stop(): void {
    this.#isStopped = true;
    this.#cancelTimer();
    if (this.#pause.throttledCount > this.#sharedCount) void this.#exchange();
  }

  /** Tells the pause of this sender, where the others do not know it. */
  tell(): void {
    if (this.#unsharedMs > 0) void this.#exchange();
  }

  get #unsharedMs(): number {
    const { ownUntilMs } = this.#pause;
    return ownUntilMs > this.#sharedUntilMs ? Math.max(0, ownUntilMs - this.#clock.nowMs()) : 0;
  }

  async #exchange(): Promise<void> {
    if (this.#isAsking) return;
    this.#isAsking = true;
    const { throttledCount, ownUntilMs } = this.#pause;
    try {
      const leftMs = await this.#board.exchange(this.#unsharedMs, throttledCount);
      this.#sharedUntilMs = ownUntilMs;
      this.#sharedCount = throttledCount;
      if (!this.#isStopped) this.#pause.learn(leftMs);
    } catch {
      // The board is away: whoever watches it says so.
    }
    this.#isAsking = false;
  }
}
