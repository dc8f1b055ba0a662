import {
  parseRetryQueueName,
  parseWorkQueueName,
  queueNameOf,
  ROUTING_KEYS,
} from '../shared/domain/topology.ts';
import type { QueueReading } from '../shared/ports.ts';

export interface RetryDepth {
  /** The failed attempt after which SMS wait here. */
  readonly attempt: number;
  readonly delaySeconds: number;
  readonly messages: number;
}

/** Messages in each queue of a pipeline; null where nobody has told us yet. Key order is that of the JSON. */
export interface QueueDepths {
  /** Of all its shards. */
  readonly work: number | null;
  readonly due: number | null;
  readonly journal: number | null;
  readonly parked: number | null;
  readonly retry: readonly RetryDepth[];
  /** What RabbitMQ itself took out of a queue; senders park it with a record. */
  readonly deadLetters: number | null;
  /** Journal messages with lines that only a newer version can record. */
  readonly later: number | null;
}

export const UNKNOWN_DEPTHS: QueueDepths = {
  ...{ work: null, due: null, journal: null, parked: null, retry: [] },
  ...{ deadLetters: null, later: null },
};

/**
 * Sorts the readings of a pipeline's queues by what they are for. A queue that does not exist holds nothing.
 * @param depthIn how many of the messages of a queue count; all that RabbitMQ holds of it unless told otherwise
 */
export function measureDepths(
  prefix: string,
  readings: readonly QueueReading[],
  depthIn: (queue: QueueReading) => number = ({ messages }) => messages,
): QueueDepths {
  const queues = readings.map((queue) => ({ name: queue.name, messages: depthIn(queue) }));
  const messages = new Map(queues.map((queue) => [queue.name, queue.messages]));
  const depthOf = (routingKey: string) => messages.get(queueNameOf(prefix, routingKey)) ?? 0;
  return {
    work: queues
      .filter(({ name }) => parseWorkQueueName(prefix, name) !== undefined)
      .reduce((sum, shard) => sum + shard.messages, 0),
    due: depthOf(ROUTING_KEYS.due),
    journal: depthOf(ROUTING_KEYS.journal),
    parked: depthOf(ROUTING_KEYS.parked),
    retry: measureRetries(prefix, queues),
    deadLetters: depthOf(ROUTING_KEYS.deadLetters),
    later: depthOf(ROUTING_KEYS.later),
  };
}

/** SMS that wait to be sent. */
export function smsWaitingIn({ work, due, retry }: QueueDepths): number {
  return retry.reduce((sum, { messages }) => sum + messages, (work ?? 0) + (due ?? 0));
}

/** Messages that still have something before them: all but the parked ones. */
export function waitingIn(depths: QueueDepths): number {
  const { work, due, journal, deadLetters, later } = depths;
  const retrying = depths.retry.reduce((sum, { messages }) => sum + messages, 0);
  return [work, due, journal, deadLetters, later].reduce<number>(
    (sum, depth) => sum + (depth ?? 0),
    retrying,
  );
}

function measureRetries(
  prefix: string,
  queues: readonly { readonly name: string; readonly messages: number }[],
): RetryDepth[] {
  return queues
    .flatMap(({ name, messages }) => {
      const retry = parseRetryQueueName(prefix, name);
      return retry === undefined
        ? []
        : [{ attempt: retry.failedAttempt, delaySeconds: retry.delayMs / 1_000, messages }];
    })
    .sort((left, right) => left.attempt - right.attempt || left.delaySeconds - right.delaySeconds);
}
