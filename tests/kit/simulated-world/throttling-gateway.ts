import type { GatewayResult } from '../../../shared/domain/outcome/attempt.ts';
import type { Sms } from '../../../shared/domain/sms/sms.ts';
import type { Clock } from '../../../shared/ports/clock.ts';
import type { Gateway } from '../../../shared/ports/gateway.ts';
import type { Dice } from '../../../shared/rehearsal/dice.ts';
import type { Throttling } from './wishes.ts';

/** A gateway whose carrier takes nothing now and then, and does not always say until when. */
export class ThrottlingGateway implements Gateway {
  readonly #gateway: Gateway;
  readonly #throttling: Throttling;
  readonly #isOver: () => boolean;
  readonly #dice: Dice;
  readonly #clock: Clock;

  constructor(gateway: Gateway, throttling: Throttling, isOver: () => boolean, dice: Dice, clock: Clock) {
    this.#gateway = gateway;
    this.#throttling = throttling;
    this.#isOver = isOver;
    this.#dice = dice;
    this.#clock = clock;
  }

  send(sms: Sms, attempt: number): Promise<GatewayResult> {
    const { share, longestMs } = this.#throttling;
    if (this.#isOver() || !this.#dice.isHit(share)) return this.#gateway.send(sms, attempt);
    const untilMs = this.#clock.nowMs() + this.#dice.below(longestMs);
    return Promise.resolve(this.#dice.isHit(0.5) ? { kind: 'throttled' } : { kind: 'throttled', untilMs });
  }

  close(): void {
    this.#gateway.close();
  }
}
