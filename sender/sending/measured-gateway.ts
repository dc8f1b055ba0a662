import type { GatewayResult } from '../../shared/domain/outcome/attempt.ts';
import type { Sms } from '../../shared/domain/sms/sms.ts';
import type { Clock } from '../../shared/ports/clock.ts';
import type { Gateway } from '../../shared/ports/gateway.ts';

/** The mean follows the last so many measured sends. */
const REMEMBERED_SENDS = 20;

/**
 * A gateway that measures how long its answers take. It measures one send at a time, which costs the other sends nothing. As
 * the next send to be measured is chosen without regard to how long it takes, their mean is the mean of all sends.
 */
export class MeasuredGateway implements Gateway {
  readonly #gateway: Gateway;
  readonly #clock: Clock;
  #isMeasuring = false;
  #measuredCount = 0;
  #meanMs = 0;

  constructor(gateway: Gateway, clock: Clock) {
    this.#gateway = gateway;
    this.#clock = clock;
  }

  /** How long a send takes that the gateway takes; undefined before the first. */
  get meanMs(): number | undefined {
    return this.#measuredCount === 0 ? undefined : this.#meanMs;
  }

  send(sms: Sms, attempt: number): Promise<GatewayResult> {
    const answer = this.#gateway.send(sms, attempt);
    if (!this.#isMeasuring) this.#measure(answer);
    return answer;
  }

  close(): void {
    this.#gateway.close();
  }

  #measure(answer: Promise<GatewayResult>): void {
    this.#isMeasuring = true;
    const startedAtMs = this.#clock.nowMs();
    answer.then(
      ({ kind }) => {
        this.#isMeasuring = false;
        if (kind !== 'throttled') this.#note(Math.max(0, this.#clock.nowMs() - startedAtMs));
      },
      () => {
        this.#isMeasuring = false;
      },
    );
  }

  #note(tookMs: number): void {
    this.#measuredCount = Math.min(this.#measuredCount + 1, REMEMBERED_SENDS);
    this.#meanMs += (tookMs - this.#meanMs) / this.#measuredCount;
  }
}
