import type { QueueReader, QueueReading, QueueReadings } from '../shared/ports.ts';
import type { InspectQueues } from './queue-fallback.ts';

/**
 * Queue depths for who must not take an old "empty" for a new one: for each queue the larger of what
 * the management API tells (all messages, seconds ago) and what a passive declare tells (ready ones, now).
 * Thereby SMS that have just been published, or have just failed, are seen at once on any statistics interval.
 */
export class CrossCheckedQueueReader implements QueueReader {
  readonly #management: QueueReader;
  readonly #inspect: InspectQueues;

  constructor(management: QueueReader, inspect: InspectQueues) {
    this.#management = management;
    this.#inspect = inspect;
  }

  /** @throws ServerUnavailableError where the management API does not answer */
  async read(): Promise<QueueReadings> {
    const readings = await this.#management.read();
    // The management API has answered: a refused or slow second look takes nothing from it.
    const ready = await this.#inspect(readings.queues.map(({ name }) => name)).catch(() => undefined);
    return { ...readings, queues: readings.queues.map((queue) => atLeast(queue, ready?.get(queue.name))) };
  }
}

function atLeast(queue: QueueReading, ready: { readonly messageCount: number } | undefined): QueueReading {
  return { ...queue, messages: Math.max(queue.messages, ready?.messageCount ?? 0) };
}
