import { fullJitterMs } from '../shared/domain/backoff.ts';
import type { OutgoingMessage } from '../shared/domain/message.ts';
import { PublishUnknownError, UnroutableError } from '../shared/errors.ts';
import type { Clock, Logger, Publisher } from '../shared/ports.ts';

/**
 * Publishes the same message again until RabbitMQ has confirmed it. A copy more than needed does no harm: both
 * carry the same id.
 */
export class PublishAgain {
  readonly #parts: { publisher: Publisher; clock: Clock; log: Logger; random: () => number };
  readonly #pauses = new Set<() => void>();
  #isStopped = false;
  #isTold = false;

  constructor(parts: { publisher: Publisher; clock: Clock; log: Logger; random: () => number }) {
    this.#parts = parts;
  }

  /** Publishes until confirmed (true) or stopped (false). @throws what no repetition can mend */
  async publish(message: OutgoingMessage): Promise<boolean> {
    try {
      await this.#parts.publisher.publish(message);
      return true;
    } catch (error) {
      return this.goOn(message, error);
    }
  }

  /** As `publish`, after a first publish that failed so. */
  async goOn(message: OutgoingMessage, firstError: unknown): Promise<boolean> {
    let error = firstError;
    for (let tries = 0; ; tries += 1) {
      if (!(error instanceof PublishUnknownError || error instanceof UnroutableError)) throw error;
      if (this.#isStopped) return false;
      this.#tell(error);
      await this.#pause(fullJitterMs(tries, this.#parts.random()));
      if (this.#isStopped) return false;
      try {
        await this.#parts.publisher.publish(message);
        this.#isTold = false;
        return true;
      } catch (nextError) {
        error = nextError;
      }
    }
  }

  /** Ends all pauses; nothing is published again from now on. */
  stop(): void {
    this.#isStopped = true;
    for (const end of [...this.#pauses]) end();
  }

  #pause(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      const end = () => {
        cancel();
        this.#pauses.delete(end);
        resolve();
      };
      const cancel = this.#parts.clock.after(delayMs, end);
      this.#pauses.add(end);
    });
  }

  // A whole window fails at once when a connection ends: one line tells it.
  #tell(error: Error): void {
    if (!this.#isTold) this.#parts.log.warn({ err: error }, 'unconfirmed messages are published again');
    this.#isTold = true;
  }
}
