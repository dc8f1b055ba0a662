/** Publishes a message again and again, with the same id, until RabbitMQ has confirmed it. */
import { fullJitterMs } from '../domain/schedule/backoff.ts';
import type { OutgoingMessage } from '../domain/sms/message.ts';
import { isUnpublishable } from '../errors.ts';
import type { Clock } from '../ports/clock.ts';
import type { Logger } from '../ports/logger.ts';
import type { Publisher } from '../ports/publisher.ts';
import { pause } from './waiting.ts';

/**
 * Waits before the next try: longer the more have failed. Rejects when the process must end.
 * @param error why the last try failed, where that is worth telling
 */
export type Pause = (failedTries: number, error?: unknown) => Promise<void>;

/**
 * Resolves with true once RabbitMQ has confirmed, with false where the message is not wanted any more. RabbitMQ may
 * hold an unconfirmed message all the same; a second copy does no harm, because it has the same id.
 * @param firstTry a publish that was begun already
 * @throws UnencodableError, MessageTooLargeError, and what `pause` rejects with
 */
export async function publishUntilConfirmed(
  publisher: Publisher,
  message: OutgoingMessage,
  pause: Pause,
  isWanted: () => boolean = () => true,
  firstTry?: Promise<void>,
): Promise<boolean> {
  let begun = firstTry;
  for (let failedTries = 0; ; failedTries += 1) {
    if (begun === undefined && !isWanted()) return false;
    try {
      await (begun ?? publisher.publish(message));
      return true;
    } catch (error) {
      if (isUnpublishable(error)) throw error;
      await pause(failedTries, error);
      begun = undefined;
    }
  }
}

/** What publishing again needs. */
export interface Republishing {
  readonly publisher: Publisher;
  readonly clock: Clock;
  readonly log: Logger;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

/** Publishes for many callers at once, each until its message is confirmed or `stop` aborts. */
export class Republisher {
  readonly #parts: Republishing;
  readonly #stop: AbortSignal;
  #isTold = false;

  constructor(parts: Republishing, stop: AbortSignal) {
    this.#parts = parts;
    this.#stop = stop;
  }

  /** True once confirmed, false where it was stopped before. @throws UnencodableError, MessageTooLargeError */
  async publish(
    message: OutgoingMessage,
    firstTry = this.#parts.publisher.publish(message),
  ): Promise<boolean> {
    const { publisher } = this.#parts;
    const isWanted = () => !this.#stop.aborted;
    const isConfirmed = await publishUntilConfirmed(publisher, message, this.#pause, isWanted, firstTry);
    if (isConfirmed) this.#isTold = false;
    return isConfirmed;
  }

  readonly #pause: Pause = (failedTries, error) => {
    const { clock, log, random } = this.#parts;
    // A whole window fails at once when a connection ends: one line tells it.
    if (!this.#isTold && !this.#stop.aborted)
      log.warn({ err: error }, 'unconfirmed messages are published again');
    this.#isTold = true;
    return pause(clock, fullJitterMs(failedTries, random()), this.#stop);
  };
}
