import type { HoldDepth, QueueDepths, RetryDepth } from '../../domain/snapshot.ts';
import {
  isWaitingQueue,
  parseHoldQueueName,
  parseRetryQueueName,
  parseWorkQueueName,
  queueNameOf,
  ROUTING_KEYS,
} from '../../domain/topology/topology.ts';
import type { QueueReading } from '../../ports/queue-reader.ts';

const UNKNOWN_DEPTHS: QueueDepths = {
  ...{ work: null, due: null, journal: null, parked: null, retry: [] },
  ...{ deadLetters: null, later: null, high: null, low: null, hold: [] },
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
    high: depthOf(ROUTING_KEYS.high),
    low: depthOf(ROUTING_KEYS.low),
    hold: measureHolds(prefix, queues),
  };
}

/** What waits in the queues: what senders have in hand is in progress, and in no queue that one could look into. */
export function depthsOfWaiting(prefix: string, readings: readonly QueueReading[] | undefined): QueueDepths {
  if (readings === undefined) return UNKNOWN_DEPTHS;
  const isDueThere = !isDueMissing(prefix, readings);
  return measureDepths(prefix, readings, (queue) =>
    // Without the due queue, SMS that have expired are ready nowhere.
    isDueThere || !isWaitingQueue(prefix, queue.name) ? queue.ready : queue.messages,
  );
}

/** True where no SMS can come back: the due queue does not exist, and SMS wait for it. */
export function areRetriesStuck(prefix: string, readings: readonly QueueReading[]): boolean {
  const isWaiting = (queue: QueueReading) => isWaitingQueue(prefix, queue.name) && queue.messages > 0;
  return isDueMissing(prefix, readings) && readings.some(isWaiting);
}

function isDueMissing(prefix: string, queues: readonly QueueReading[]): boolean {
  const due = queueNameOf(prefix, ROUTING_KEYS.due);
  return queues.length > 0 && !queues.some(({ name }) => name === due);
}

/** SMS that wait to be sent. */
export function smsWaitingIn({ work, due, high, low, retry, hold }: QueueDepths): number {
  const inLanes = (high ?? 0) + (due ?? 0) + (work ?? 0) + (low ?? 0);
  return [...retry, ...hold].reduce((sum, { messages }) => sum + messages, inLanes);
}

/** SMS that wait for a moment; null where nobody has told us yet. */
export function heldIn({ work, hold }: QueueDepths): number | null {
  return work === null ? null : hold.reduce((sum, { messages }) => sum + messages, 0);
}

/** Messages that still have something before them: all but the parked ones. */
export function waitingIn(depths: QueueDepths): number {
  const { journal, deadLetters, later } = depths;
  return smsWaitingIn(depths) + (journal ?? 0) + (deadLetters ?? 0) + (later ?? 0);
}

function measureHolds(
  prefix: string,
  queues: readonly { readonly name: string; readonly messages: number }[],
): HoldDepth[] {
  return queues
    .flatMap(({ name, messages }) => {
      const delayMs = parseHoldQueueName(prefix, name);
      return delayMs === undefined ? [] : [{ delaySeconds: delayMs / 1_000, messages }];
    })
    .sort((left, right) => left.delaySeconds - right.delaySeconds);
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
