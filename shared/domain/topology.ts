/**
 * The exchanges, queues and bindings of one pipeline, as data. Adapters declare what this describes and nothing
 * else, with the same arguments on RabbitMQ 3.10 and 4.x.
 *
 * There are two exchanges. `<QUEUE_NAME>` takes fresh SMS from anybody who may send. `<QUEUE_NAME>.internal` carries
 * what is Redial's own. RabbitMQ grants the right to write per exchange, so a client that may only send SMS can
 * neither write the books nor put an SMS into a retry queue.
 *
 * What RabbitMQ itself takes out of a consumed queue (expired by a client's `expiration`, rejected, delivered too
 * often) goes to `<QUEUE_NAME>.dead-letters`. Senders consume that queue and park each message with its record.
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
  /** The exchange it is bound to, with the routing key. */
  readonly exchange: string;
  readonly routingKey: string;
  readonly arguments: Readonly<Record<string, string | number>>;
}

export interface Topology {
  /** Durable direct exchanges: the one for fresh SMS, then the internal one. */
  readonly exchanges: readonly [fresh: string, internal: string];
  readonly queues: readonly QueueDescription[];
}

// Always explicit and positive: 4.x would drop after 20 without it, 3.x reads a negative one as "at once".
const DELIVERY_LIMIT = 1_000_000;

/** The routing keys of the queues that are always there. */
export const ROUTING_KEYS = {
  work: 'work',
  due: 'due',
  journal: 'journal',
  /** Journal lines that this version cannot record yet wait here and come back to the journal. */
  later: 'journal.later',
  /** What RabbitMQ itself took out of a consumed queue. */
  deadLetters: 'dead-letters',
  parked: 'parked',
} as const;

/** How long journal lines wait before somebody looks at them again. */
const LATER_MS = 20_000;

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

/** The exchange that carries what is Redial's own: `sms` → `sms.internal`. */
export function internalExchangeOf(prefix: string): string {
  return `${prefix}.internal`;
}

/** True for the routing keys of fresh SMS, which any client may publish with. */
export function isFreshRoutingKey(routingKey: string): boolean {
  return routingKey.startsWith(ROUTING_KEYS.work);
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
  const internal = internalExchangeOf(prefix);
  const queue = (routingKey: string, more: QueueDescription['arguments']): QueueDescription => ({
    name: queueNameOf(prefix, routingKey),
    exchange: isFreshRoutingKey(routingKey) ? prefix : internal,
    routingKey,
    arguments: { 'x-queue-type': 'quorum', 'x-overflow': 'reject-publish', ...more },
  });
  const deadLetterTo = (routingKey: string) => ({
    'x-dead-letter-exchange': internal,
    'x-dead-letter-routing-key': routingKey,
    'x-dead-letter-strategy': 'at-least-once',
  });
  const consumed = (routingKey: string, deadLetterKey: string = ROUTING_KEYS.deadLetters) =>
    queue(routingKey, { ...deadLetterTo(deadLetterKey), 'x-delivery-limit': DELIVERY_LIMIT });
  const waiting = (routingKey: string, ttlMs: number, deadLetterKey: string) =>
    queue(routingKey, { ...deadLetterTo(deadLetterKey), 'x-message-ttl': ttlMs });
  return {
    exchanges: [prefix, internal],
    // Targets before sources: a dead letter must never find its queue missing. And work last: who finds that one may
    // take all before it for complete.
    queues: [
      queue(ROUTING_KEYS.parked, {}),
      // Not to itself: RabbitMQ drops what would go round without a consumer.
      consumed(ROUTING_KEYS.deadLetters, ROUTING_KEYS.parked),
      consumed(ROUTING_KEYS.journal),
      waiting(ROUTING_KEYS.later, LATER_MS, ROUTING_KEYS.journal),
      consumed(ROUTING_KEYS.due),
      ...schedule.map((delayMs, index) =>
        waiting(retryRoutingKey(index + 1, delayMs), delayMs, ROUTING_KEYS.due),
      ),
      ...Array.from({ length: shardCount }, (_, shard) => consumed(workRoutingKey(shard))),
    ],
  };
}
