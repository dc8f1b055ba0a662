import type { IncomingMessage } from '../domain/sms/message.ts';

/** A message that RabbitMQ has handed out once, on one channel. */
export interface Delivery {
  readonly message: IncomingMessage;
  /** False once the channel has died: the message comes again, so what was done for this delivery is dropped. */
  isLive(): boolean;
  /** Does nothing on a dead channel. */
  acknowledge(): void;
  /** Lets RabbitMQ dead-letter the message. Does nothing on a dead channel. */
  reject(): void;
}

/** A queue that is consumed, over reconnects. */
export interface DeliverySource {
  /** Begins to hand over deliveries. */
  start(onDelivery: (delivery: Delivery) => void): void;
  /** Takes no more deliveries; those handed over may still be acknowledged. May be started again. */
  cancel(): Promise<void>;
  /** Takes no more deliveries, and gives back those not acknowledged. May be started again. */
  release(): Promise<void>;
}
