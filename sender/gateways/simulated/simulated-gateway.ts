import type { GatewayResult } from '../../../shared/domain/outcome/attempt.ts';
import { type SimulationSettings, simulateAttempt } from '../../../shared/domain/simulation/simulation.ts';
import type { Sms } from '../../../shared/domain/sms/sms.ts';
import type { Clock } from '../../../shared/ports/clock.ts';
import type { Gateway } from '../../../shared/ports/gateway.ts';
import type { CarrierCapacity } from './carrier-capacity.ts';

/**
 * A carrier that answers what the simulation says, after the time the simulation says. Above its capacity it throttles at once.
 * An SMS that was throttled gets the same answer later, because the attempt is not spent.
 */
export class SimulatedGateway implements Gateway {
  readonly #settings: SimulationSettings;
  readonly #clock: Clock;
  readonly #capacity: CarrierCapacity | undefined;
  readonly #pending = new Set<() => void>();
  #isClosed = false;

  /** @param capacity undefined: the carrier takes any number of SMS */
  constructor(settings: SimulationSettings, clock: Clock, capacity?: CarrierCapacity) {
    this.#settings = settings;
    this.#clock = clock;
    this.#capacity = capacity;
  }

  send(sms: Sms, attempt: number): Promise<GatewayResult> {
    return this.#capacity === undefined
      ? this.#simulate(sms, attempt)
      : this.#sendWithin(this.#capacity, sms, attempt);
  }

  async #sendWithin(capacity: CarrierCapacity, sms: Sms, attempt: number): Promise<GatewayResult> {
    const waitMs = await capacity.takePlace();
    if (this.#isClosed) throw closed();
    if (waitMs > 0) return { kind: 'throttled', untilMs: this.#clock.nowMs() + waitMs };
    return this.#simulate(sms, attempt);
  }

  #simulate(sms: Sms, attempt: number): Promise<GatewayResult> {
    const { processingMs, result } = simulateAttempt(this.#settings, sms.id, attempt);
    // Timers know whole milliseconds and fire up to one late: rounding down keeps the mean where it should be.
    const waitMs = Math.floor(processingMs);
    if (waitMs === 0) return Promise.resolve(result);
    return new Promise((resolve, reject) => {
      const cancel = this.#clock.after(waitMs, () => {
        this.#pending.delete(breakOff);
        resolve(result);
      });
      const breakOff = () => {
        cancel();
        reject(closed());
      };
      this.#pending.add(breakOff);
    });
  }

  close(): void {
    this.#isClosed = true;
    for (const breakOff of this.#pending) breakOff();
    this.#pending.clear();
  }
}

function closed(): Error {
  return new Error('the gateway was closed before it answered');
}
