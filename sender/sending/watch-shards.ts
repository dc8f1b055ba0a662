/**
 * Finds shards of the work queue beyond our own QUEUE_SHARDS. A producer with a larger QUEUE_SHARDS may publish to them, or
 * may have done so, and its SMS must be sent too. A sender asks the management API again and again. Where that does not
 * answer at the start, the sender asks RabbitMQ itself, once: each question about a queue that is not there is an error in
 * RabbitMQ's log.
 */
import { lookAgainMs } from '../../shared/domain/topology/shards.ts';
import { countShards, queueNameOf, workRoutingKey } from '../../shared/domain/topology/topology.ts';
import type { Clock } from '../../shared/ports/clock.ts';
import type { Logger } from '../../shared/ports/logger.ts';
import type { QueueReader } from '../../shared/ports/queue-reader.ts';

export interface ShardWatchParts {
  /** QUEUE_NAME. */
  readonly prefix: string;
  /** Shards that are consumed from the start: our own QUEUE_SHARDS. */
  readonly shardCount: number;
  /** What the management API tells. */
  readonly queues: QueueReader;
  /** Asks RabbitMQ itself. */
  readonly exists: (queueName: string) => Promise<boolean>;
  /** Called once for each further shard, in order. */
  readonly onShard: (queueName: string) => void;
  /** Senders that live, this one included; 1 where nobody knows. */
  readonly senderCount: () => number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly clock: Clock;
  readonly log: Logger;
}

export class ShardWatch {
  readonly #parts: ShardWatchParts;
  #shardCount: number;
  #isStopped = false;
  #cancelTimer = () => {};

  constructor(parts: ShardWatchParts) {
    this.#parts = parts;
    this.#shardCount = parts.shardCount;
  }

  /** Shards that are consumed by now. */
  get shardCount(): number {
    return this.#shardCount;
  }

  /** Resolves when it has looked once. From then on it looks again and again until `stop`. */
  async start(): Promise<void> {
    await this.#look(() => this.#probe());
  }

  stop(): void {
    this.#isStopped = true;
    this.#cancelTimer();
  }

  /** @param otherwise where the management API does not answer */
  async #look(otherwise = async () => {}): Promise<void> {
    const { prefix, queues, clock, senderCount, random, log } = this.#parts;
    try {
      const found = countShards(prefix, (await queues.read()).queues);
      while (this.#shardCount < found && !this.#isStopped) this.#add();
    } catch (error) {
      log.debug({ err: error }, 'the management API does not tell which work queues there are');
      await otherwise();
    }
    if (this.#isStopped) return;
    this.#cancelTimer = clock.after(lookAgainMs(senderCount(), random()), () => void this.#look());
  }

  async #probe(): Promise<void> {
    try {
      while ((await this.#parts.exists(this.#nextName())) && !this.#isStopped) this.#add();
    } catch (error) {
      this.#parts.log.debug({ err: error }, 'RabbitMQ does not tell which work queues there are');
    }
  }

  #add(): void {
    const queueName = this.#nextName();
    this.#shardCount += 1;
    this.#parts.log.info({ queueName }, 'takes SMS from another work queue');
    this.#parts.onShard(queueName);
  }

  #nextName(): string {
    return queueNameOf(this.#parts.prefix, workRoutingKey(this.#shardCount));
  }
}
