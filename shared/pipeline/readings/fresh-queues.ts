import { describeError } from '../../errors.ts';
import type { QueueReader, QueueReading, QueueReadings } from '../../ports/queue-reader.ts';
import { askOnce } from './answer.ts';

/** What a passive declare tells of a queue; undefined for one that does not exist. */
export type InspectQueues = (
  queueNames: readonly string[],
) => Promise<ReadonlyMap<string, { readonly messageCount: number } | undefined>>;

/**
 * Reads each number of a queue from the place that knows it better. The management API knows all queues, and counts what
 * is unacknowledged or on its way to a dead-letter target, but its numbers are seconds old. RabbitMQ itself tells the
 * ready messages of a queue as they are now, but must be given the name of the queue. So the names come from the
 * management API. While it is away, they are the names that it told last and those of our own schedule.
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
    // The answer of the management API stands, also where the second look is refused or slow.
    if (now.kind === 'silent') return told.reading;
    return {
      ...told.reading,
      queues: queues.flatMap((queue) => freshened(queue, now.reading)),
      readyAgeMs: 0,
    };
  }

  // One at a time: looks must not pile up while RabbitMQ hangs.
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

/** No reading for a queue that is gone meanwhile. */
function freshened(queue: QueueReading, now: ReadonlyMap<string, number | undefined>): QueueReading[] {
  const ready = now.get(queue.name);
  if (ready === undefined) return [];
  // The total is older than the ready messages, so it may say 0 while some are ready.
  return [{ ...queue, ready, messages: Math.max(queue.messages, ready) }];
}
