import type { IncomingMessage } from '../../shared/domain/sms/message.ts';
import type { Delivery, DeliverySource } from '../../shared/ports/delivery-source.ts';

/**
 * A queue in memory that treats messages as RabbitMQ does: each is with one consumer until it is acknowledged or
 * rejected, and comes again, in its old place, when the channel it went out on has died.
 */
export class HandDrivenQueue {
  readonly acknowledged: IncomingMessage[] = [];
  readonly rejected: IncomingMessage[] = [];
  /** Deliveries that were settled twice: RabbitMQ would close the channel. */
  settledTwiceCount = 0;
  readonly #ready: { readonly message: IncomingMessage; readonly place: number }[] = [];
  readonly #consumers: HandDrivenSource[] = [];
  #places = 0;

  get readyCount(): number {
    return this.#ready.length;
  }

  /** Handed over and not settled. */
  get unacknowledgedCount(): number {
    return this.#consumers.reduce((sum, consumer) => sum + consumer.unacknowledgedCount, 0);
  }

  publish(message: Partial<IncomingMessage> & { readonly body: Buffer }): void {
    this.#places += 1;
    this.#ready.push({ message: { headers: {}, ...message }, place: this.#places });
    this.handOut();
  }

  consumer(prefetchCount = Number.POSITIVE_INFINITY): HandDrivenSource {
    const consumer = new HandDrivenSource(this, prefetchCount);
    this.#consumers.push(consumer);
    return consumer;
  }

  handOut(): void {
    for (const consumer of this.#consumers) {
      while (this.#ready.length > 0 && consumer.hasRoom) {
        const next = this.#ready.shift();
        if (next !== undefined) consumer.take(next.message, next.place);
      }
    }
  }

  takeBack(message: IncomingMessage, place: number): void {
    this.#ready.push({ message, place });
    this.#ready.sort((left, right) => left.place - right.place);
  }
}

export class HandDrivenSource implements DeliverySource {
  releaseCount = 0;
  readonly #queue: HandDrivenQueue;
  readonly #prefetchCount: number;
  /** What to do with each when its channel ends. */
  #unacknowledged = new Map<Delivery, () => void>();
  #onDelivery: ((delivery: Delivery) => void) | undefined;

  constructor(queue: HandDrivenQueue, prefetchCount: number) {
    this.#queue = queue;
    this.#prefetchCount = prefetchCount;
  }

  get isConsuming(): boolean {
    return this.#onDelivery !== undefined;
  }

  get unacknowledgedCount(): number {
    return this.#unacknowledged.size;
  }

  get hasRoom(): boolean {
    return this.isConsuming && this.#unacknowledged.size < this.#prefetchCount;
  }

  start(onDelivery: (delivery: Delivery) => void): void {
    this.#onDelivery = onDelivery;
    this.#queue.handOut();
  }

  async cancel(): Promise<void> {
    this.#onDelivery = undefined;
  }

  async release(): Promise<void> {
    this.releaseCount += 1;
    this.end();
  }

  /** The process is gone: its messages go to others. */
  end(): void {
    this.#onDelivery = undefined;
    this.breakChannel();
  }

  /** The connection is cut and comes back: what was not acknowledged comes again, here or elsewhere. */
  breakChannel(): void {
    const lost = this.#unacknowledged;
    this.#unacknowledged = new Map();
    for (const die of lost.values()) die();
    this.#queue.handOut();
  }

  take(message: IncomingMessage, place: number): void {
    let isLive = true;
    const delivery: Delivery = {
      message,
      isLive: () => isLive,
      acknowledge: () => isLive && this.#settle(delivery, true),
      reject: () => isLive && this.#settle(delivery, false),
    };
    this.#unacknowledged.set(delivery, () => {
      isLive = false;
      this.#queue.takeBack(message, place);
    });
    this.#onDelivery?.(delivery);
  }

  #settle(delivery: Delivery, isAcknowledged: boolean): void {
    if (!this.#unacknowledged.delete(delivery)) {
      this.#queue.settledTwiceCount += 1;
      return;
    }
    (isAcknowledged ? this.#queue.acknowledged : this.#queue.rejected).push(delivery.message);
    this.#queue.handOut();
  }
}
