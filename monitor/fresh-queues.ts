import { describeError } from '../shared/errors.ts';
import type { QueueReader, QueueReading, QueueReadings } from '../shared/ports.ts';
import { askOnce } from './answer.ts';

/** What a passive declare tells of a queue; undefined for one that does not exist. */
export type InspectQueues = (
  queueNames: readonly string[],
) => Promise<ReadonlyMap<string, { readonly messageCount: number } | undefined>>;

/**
 * Queues as both places know them. The management API knows all queues, and what is unacknowledged or on its way to a
 * dead-letter target, seconds ago. RabbitMQ itself tells the ready messages of a queue, as they are now, to who knows its
 * name. So the names come from the management API (where it is away: those that it told last, and those of our own
 * schedule), and each number from who knows it better.
 */
export class FreshQueueReader implements QueueReader {
  readonly #management: QueueReader;
  readonly #inspect: InspectQueues;
  #names: ReadonlySet<string>;
  #isInspecting = false;

  constructor(management: QueueReader, inspect: InspectQueues, ownQueues: readonly string[]) {
    this.#management = management;
    this.#inspect = inspect;
    this.#names = new Set(ownQueues);
  }

  /** @throws ServerUnavailableError where neither answers */
  async read(): Promise<QueueReadings> {
    const told = await askOnce(() => this.#management.read());
    if (told.kind === 'silent') {
      const queues = [...(await this.#inspectOnce([...this.#names]))].flatMap(([name, ready]) =>
        ready === undefined ? [] : [{ name, ready, messages: ready }],
      );
      return { queues, isComplete: false, problem: describeError(told.error), readyAgeMs: 0 };
    }
    const { queues } = told.reading;
    this.#names = new Set([...this.#names, ...queues.map(({ name }) => name)]);
    const now = await askOnce(() => this.#inspectOnce(queues.map(({ name }) => name)));
    // The management API has answered: a refused or slow second look takes nothing from it.
    if (now.kind === 'silent') return told.reading;
    return {
      ...told.reading,
      queues: queues.flatMap((queue) => freshened(queue, now.reading)),
      readyAgeMs: 0,
    };
  }

  // One at a time: looks at a RabbitMQ that hangs must not pile up.
  async #inspectOnce(names: readonly string[]): Promise<Map<string, number | undefined>> {
    if (this.#isInspecting) throw new Error('RabbitMQ has not answered the last look at its queues yet');
    this.#isInspecting = true;
    try {
      const found = await this.#inspect(names);
      return new Map(names.map((name) => [name, found.get(name)?.messageCount]));
    } finally {
      this.#isInspecting = false;
    }
  }
}

/** None where the queue is gone meanwhile. */
function freshened(queue: QueueReading, now: ReadonlyMap<string, number | undefined>): QueueReading[] {
  const ready = now.get(queue.name);
  if (ready === undefined) return [];
  // An old "empty" must not be taken for a new one.
  return [{ ...queue, ready, messages: Math.max(queue.messages, ready) }];
}
