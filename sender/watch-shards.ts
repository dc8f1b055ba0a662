/**
 * Finds shards of the work queue beyond those of our own QUEUE_SHARDS, so that SMS that a producer with a larger one
 * publishes, or once published, are sent all the same. The management API is asked again and again; where it cannot be,
 * RabbitMQ itself is asked at the start (each question about a queue that is not there is an error in its log).
 */
import { lookAgainMs } from '../shared/domain/shards.ts';
import { countShards, queueNameOf, workRoutingKey } from '../shared/domain/topology.ts';
import type { Clock, Logger, QueueReader } from '../shared/ports.ts';

export interface ShardWatchParts {
  /** QUEUE_NAME. */
  readonly prefix: string;
  /** Shards that are consumed already. */
  readonly shardCount: number;
  /** What the management API tells. */
  readonly queues: QueueReader;
  /** Asks RabbitMQ itself. */
  readonly exists: (queueName: string) => Promise<boolean>;
  /** Called once for each further shard, in order. */
  readonly onShard: (queueName: string, shardCount: number) => void;
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

  /** Resolves when it has looked once; goes on looking until `stop`. */
  async start(): Promise<void> {
    await this.#look(() => this.#probe());
    this.#lookLater();
  }

  stop(): void {
    this.#isStopped = true;
    this.#cancelTimer();
  }

  #lookLater(): void {
    if (this.#isStopped) return;
    const { clock, senderCount, random } = this.#parts;
    const waitMs = lookAgainMs(senderCount(), random());
    this.#cancelTimer = clock.after(waitMs, () => void this.#lookAgain());
  }

  async #lookAgain(): Promise<void> {
    await this.#look(async () => {});
    this.#lookLater();
  }

  async #look(otherwise: () => Promise<void>): Promise<void> {
    const { prefix, queues, log } = this.#parts;
    try {
      const found = countShards(prefix, (await queues.read()).queues);
      while (this.#shardCount < found && !this.#isStopped) this.#add();
    } catch (error) {
      log.debug({ err: error }, 'the management API does not tell which work queues there are');
      await otherwise();
    }
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
    this.#parts.onShard(queueName, this.#shardCount);
  }

  #nextName(): string {
    return queueNameOf(this.#parts.prefix, workRoutingKey(this.#shardCount));
  }
}
