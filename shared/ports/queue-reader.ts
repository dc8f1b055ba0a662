export interface QueueReading {
  readonly name: string;
  /** Messages that wait: no consumer has them, and they are not on their way to a dead-letter target. */
  readonly ready: number;
  /** All messages: ready, unacknowledged, or on their way to a dead-letter target. Where not `isComplete`: ready ones. */
  readonly messages: number;
  /** Messages on their way to a dead-letter target, which no consumer can get; undefined where that is not known. */
  readonly deadLettering?: number | undefined;
}

export interface QueueReadings {
  readonly queues: readonly QueueReading[];
  /** False where the management API did not answer: only ready messages, and only of queues that are known. */
  readonly isComplete: boolean;
  /** Why the management API did not answer. */
  readonly problem?: string;
  /** How old the numbers of ready messages may be, in milliseconds: 0 where RabbitMQ itself was asked. */
  readonly readyAgeMs: number;
}

export interface QueueReader {
  read(): Promise<QueueReadings>;
}
