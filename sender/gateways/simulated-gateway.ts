import type { GatewayResult } from '../../shared/domain/attempt.ts';
import { type SimulationSettings, simulateAttempt } from '../../shared/domain/simulation.ts';
import type { Sms } from '../../shared/domain/sms.ts';
import type { Clock, Gateway } from '../../shared/ports.ts';

/** A carrier that answers what the simulation says, after the time the simulation says. */
export class SimulatedGateway implements Gateway {
  readonly #settings: SimulationSettings;
  readonly #clock: Clock;
  readonly #pending = new Set<() => void>();

  constructor(settings: SimulationSettings, clock: Clock) {
    this.#settings = settings;
    this.#clock = clock;
  }

  send(sms: Sms, attempt: number): Promise<GatewayResult> {
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
        reject(new Error('the gateway was closed before it answered'));
      };
      this.#pending.add(breakOff);
    });
  }

  close(): void {
    for (const breakOff of this.#pending) breakOff();
    this.#pending.clear();
  }
}
