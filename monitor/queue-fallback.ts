import { describeError } from '../shared/errors.ts';
import type { QueueReader, QueueReading, QueueReadings } from '../shared/ports.ts';

/** What a passive declare tells of a queue; undefined for one that does not exist. */
export type InspectQueues = (
  queueNames: readonly string[],
) => Promise<
  ReadonlyMap<string, { readonly messageCount: number; readonly consumerCount: number } | undefined>
>;

/**
 * Asks the management API, and where that does not answer, RabbitMQ itself about the queues we know by name.
 * The latter sees neither unacknowledged messages nor those on their way to a dead-letter target, so it can say
 * that something waits but never that nothing does.
 */
export class FallbackQueueReader implements QueueReader {
  readonly #management: QueueReader;
  readonly #inspect: InspectQueues;
  readonly #queueNames: readonly string[];
  #isInspecting = false;

  constructor(management: QueueReader, inspect: InspectQueues, queueNames: readonly string[]) {
    this.#management = management;
    this.#inspect = inspect;
    this.#queueNames = queueNames;
  }

  /** @throws ServerUnavailableError where neither answers */
  async read(): Promise<QueueReadings> {
    try {
      return await this.#management.read();
    } catch (error) {
      // One at a time: connections to a RabbitMQ that hangs must not pile up.
      if (this.#isInspecting) throw error;
      const queues = await this.#inspectKnown();
      return { queues, isComplete: false, problem: describeError(error) };
    }
  }

  async #inspectKnown(): Promise<QueueReading[]> {
    this.#isInspecting = true;
    const found = await this.#inspect(this.#queueNames).finally(() => {
      this.#isInspecting = false;
    });
    return [...found].flatMap(([name, inspection]) =>
      inspection === undefined
        ? []
        : [{ name, messages: inspection.messageCount, consumers: inspection.consumerCount }],
    );
  }
}
