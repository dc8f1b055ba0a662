import type { Clock } from '../../shared/ports/clock.ts';
import type { Delivery } from '../../shared/ports/delivery-source.ts';

/** Deliveries that wait in memory until their SMS is due, in the order they came. */
export class HeldDeliveries {
  readonly #clock: Clock;
  /** Each with what ends its wait. */
  readonly #held = new Map<Delivery, () => void>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** @param onDue called unless the delivery is taken out, or its channel dies, before */
  hold(delivery: Delivery, earlyMs: number, onDue: () => void): void {
    const [oldest] = this.#held.keys();
    if (oldest?.isLive() === false) this.#letDeadGo();
    const letGo = this.#clock.after(earlyMs, () => {
      this.#held.delete(delivery);
      if (delivery.isLive()) onDue();
    });
    this.#held.set(delivery, letGo);
  }

  /** Takes out all of them. */
  takeAll(): Delivery[] {
    for (const letGo of this.#held.values()) letGo();
    const deliveries = [...this.#held.keys()];
    this.#held.clear();
    return deliveries;
  }

  // Deliveries of dead channels come again. Kept, they would add up over many deaths.
  #letDeadGo(): void {
    for (const [delivery, letGo] of this.#held) {
      if (delivery.isLive()) continue;
      letGo();
      this.#held.delete(delivery);
    }
  }
}
