/**
 * The exchange, queues and bindings of one pipeline, as data. Adapters declare what this describes and nothing
 * else, with the same arguments on RabbitMQ 3.10 and 4.x.
 *
 * All queues are quorum queues: only those dead-letter at least once, which needs `reject-publish` as overflow
 * (with the default, drop-head, the broker falls back to at-most-once with no more than a line in its log):
 * https://www.rabbitmq.com/docs/quorum-queues#dead-lettering
 * The retry queues are the schedule: one per failed attempt and delay, TTL on the queue, never on a message
 * (expiry happens at the queue's head only, so mixed TTLs in one queue would block each other).
 */
import { formatDuration, parseDuration } from './duration.ts';
import type { RetrySchedule } from './retry-schedule.ts';

export interface QueueDescription {
  readonly name: string;
  readonly routingKey: string;
  readonly arguments: Readonly<Record<string, string | number>>;
}

export interface Topology {
  /** Durable direct exchange through which every publish goes. */
  readonly exchange: string;
  readonly queues: readonly QueueDescription[];
}

// Always explicit and positive: 4.x would drop after 20 without it, 3.x reads a negative one as "at once".
const DELIVERY_LIMIT = 1_000_000;

/** The routing keys of the queues that are always there. */
export const ROUTING_KEYS = { work: 'work', due: 'due', journal: 'journal', parked: 'parked' } as const;

/** Work queues that one pipeline may be spread over, at the most. */
export const MAX_QUEUE_SHARDS = 64;

/** The routing key of a shard of the work queue, from 0: `work`, `work.1`, `work.2`, … */
export function workRoutingKey(shard: number): string {
  return shard === 0 ? ROUTING_KEYS.work : `${ROUTING_KEYS.work}.${shard}`;
}

/** Reads the shard back from a queue's name; undefined for a queue that is no work queue. */
export function parseWorkQueueName(prefix: string, queueName: string): number | undefined {
  const first = queueNameOf(prefix, ROUTING_KEYS.work);
  if (queueName === first) return 0;
  if (!queueName.startsWith(`${first}.`)) return undefined;
  const digits = queueName.slice(first.length + 1);
  return /^[1-9]\d?$/.test(digits) && Number(digits) < MAX_QUEUE_SHARDS ? Number(digits) : undefined;
}

/** How many shards these queues of a pipeline make, gaps filled: at least one. */
export function countShards(prefix: string, queues: readonly { readonly name: string }[]): number {
  return queues.reduce((count, { name }) => Math.max(count, (parseWorkQueueName(prefix, name) ?? 0) + 1), 1);
}

/** The routing key of the retry queue where an SMS waits after that failed attempt: `retry.2.30s`. */
export function retryRoutingKey(failedAttempt: number, delayMs: number): string {
  return `retry.${failedAttempt}.${formatDuration(delayMs)}`;
}

/** `sms` and `work` → `sms.work`. */
export function queueNameOf(prefix: string, routingKey: string): string {
  return `${prefix}.${routingKey}`;
}

/** Reads failed attempt and delay back from a queue's name; undefined for a queue that is no retry queue. */
export function parseRetryQueueName(
  prefix: string,
  queueName: string,
): { readonly failedAttempt: number; readonly delayMs: number } | undefined {
  if (!queueName.startsWith(`${prefix}.retry.`)) return undefined;
  const match = /^(\d{1,4})\.(\w+)$/.exec(queueName.slice(`${prefix}.retry.`.length));
  const delayMs = parseDuration(match?.[2] ?? '');
  return match === null || delayMs === undefined ? undefined : { failedAttempt: Number(match[1]), delayMs };
}

/** The names of the retry queues among those of a pipeline. */
export function retryQueueNamesOf(prefix: string, queues: readonly { readonly name: string }[]): string[] {
  return queues.map(({ name }) => name).filter((name) => parseRetryQueueName(prefix, name) !== undefined);
}

/**
 * The whole topology of a pipeline.
 * @param prefix QUEUE_NAME
 * @param schedule none for a process that retries nothing
 * @param shardCount work queues that fresh SMS are spread over
 */
export function describeTopology(
  prefix: string,
  schedule: RetrySchedule = [],
  shardCount: number = 1,
): Topology {
  const deadLetterTo = (routingKey: string) => ({
    'x-queue-type': 'quorum',
    'x-dead-letter-exchange': prefix,
    'x-dead-letter-routing-key': routingKey,
    'x-dead-letter-strategy': 'at-least-once',
    'x-overflow': 'reject-publish',
  });
  const consumed = (routingKey: string): QueueDescription => ({
    name: queueNameOf(prefix, routingKey),
    routingKey,
    arguments: { ...deadLetterTo(ROUTING_KEYS.parked), 'x-delivery-limit': DELIVERY_LIMIT },
  });
  const retries = schedule.map((delayMs, index): QueueDescription => {
    const routingKey = retryRoutingKey(index + 1, delayMs);
    return {
      name: queueNameOf(prefix, routingKey),
      routingKey,
      arguments: { ...deadLetterTo(ROUTING_KEYS.due), 'x-message-ttl': delayMs },
    };
  });
  return {
    exchange: prefix,
    // Targets before sources: a dead letter must never find its queue missing. And work last: who finds that one may
    // take all before it for complete.
    queues: [
      {
        name: queueNameOf(prefix, ROUTING_KEYS.parked),
        routingKey: ROUTING_KEYS.parked,
        arguments: { 'x-queue-type': 'quorum', 'x-overflow': 'reject-publish' },
      },
      consumed(ROUTING_KEYS.journal),
      consumed(ROUTING_KEYS.due),
      ...retries,
      ...Array.from({ length: shardCount }, (_, shard) => consumed(workRoutingKey(shard))),
    ],
  };
}
