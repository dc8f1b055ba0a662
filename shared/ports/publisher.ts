import type { OutgoingMessage } from '../domain/sms/message.ts';

export interface Publisher {
  /**
   * Waits for room among the unconfirmed messages. Resolves when RabbitMQ has confirmed the message and did not return it.
   * Rejects with PublishUnknownError (publish again with the same id), with UnroutableError (publish again: the topology is
   * being declared), or with UnencodableError or MessageTooLargeError (never publish it again).
   */
  publish(message: OutgoingMessage): Promise<void>;
}

export interface BulkPublisher extends Publisher {
  /** As `publish`, without the cost of a promise for each message. @param onSettled undefined once confirmed */
  publishThen(message: OutgoingMessage, onSettled: (error: Error | undefined) => void): void;
}

/** Why nothing that is published now will be confirmed soon: no connection, or a memory or disk alarm. */
export type PublishingTrouble = 'away' | 'alarm';

/** A publisher for callers that rather refuse than wait. */
export interface PublisherWithState extends BulkPublisher {
  /** Undefined while RabbitMQ takes messages. */
  readonly trouble: PublishingTrouble | undefined;
}
