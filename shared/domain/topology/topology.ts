/**
 * The exchanges, queues and bindings of one pipeline, as data. Adapters declare exactly this, with the same arguments on
 * RabbitMQ 3.10 and 4.x.
 *
 * There are two exchanges, and a third one where outcome events are on. `<QUEUE_NAME>` takes fresh SMS from anybody who may send. `<QUEUE_NAME>.internal` carries
 * what is Redial's own. RabbitMQ grants the right to write per exchange, so a client that may only send SMS can
 * neither write the books nor put an SMS into a retry queue.
 *
 * What RabbitMQ itself takes out of a consumed queue (expired by a client's `expiration`, rejected, delivered too
 * often) goes to `<QUEUE_NAME>.dead-letters`. Senders consume that queue and park each message with its record.
 *
 * All queues are quorum queues: only they dead-letter at least once. That needs `reject-publish` as overflow: with the
 * default, drop-head, RabbitMQ falls back to at-most-once and only writes a line to its log.
 * https://www.rabbitmq.com/docs/quorum-queues#dead-lettering
 *
 * Whatever must wait for a moment waits in the hold queues, hop by hop.
 *
 * The retry queues are the schedule: there is one for each failed attempt and its delay. The TTL is on the queue, never on a
 * message: RabbitMQ expires messages at the head of a queue only, so mixed TTLs in one queue would block each other.
 */
import { formatDuration, parseDuration } from '../schedule/duration.ts';
import type { RetrySchedule } from '../schedule/retry-schedule.ts';
import type { Priority } from '../sms/sms.ts';
import { isRedriveQueue } from './redrive-queue.ts';

/** A durable exchange. */
export interface Exchange {
  readonly name: string;
  readonly type: 'direct' | 'topic';
}

/** A durable queue. */
export interface Queue {
  readonly name: string;
  readonly arguments: Readonly<Record<string, string | number>>;
}

/** What comes to the exchange with the routing key goes to the queue. */
export interface Binding {
  readonly exchange: string;
  readonly queue: string;
  readonly routingKey: string;
}

export interface Topology {
  readonly exchanges: readonly [Exchange, ...Exchange[]];
  /** In the order in which they are to be declared. */
  readonly queues: readonly Queue[];
  readonly bindings: readonly Binding[];
}

export interface PipelineTopology extends Topology {
  /** The first one takes fresh SMS and is named QUEUE_NAME. */
  readonly exchanges: readonly [fresh: Exchange, internal: Exchange];
}

// Always explicit and positive: without a limit 4.x would drop after 20, and 3.x reads a negative limit as "at once".
const DELIVERY_LIMIT = 1_000_000;

/** The routing keys of the queues that are always there. */
export const ROUTING_KEYS = {
  work: 'work',
  /** Fresh SMS that go before those in `work`, and after them. */
  high: 'high',
  low: 'low',
  due: 'due',
  journal: 'journal',
  /** Journal lines that this version cannot record yet wait here and come back to the journal. */
  later: 'journal.later',
  /** What RabbitMQ itself took out of a consumed queue. */
  deadLetters: 'dead-letters',
  parked: 'parked',
} as const;

/** The exponents of the delays of the hold queues: 1 s, 4 s, 16 s, … up to three days. */
const HOLD_EXPONENTS = 10;

/**
 * The delays of the hold queues, the shortest first. An SMS that must wait for a moment waits in the queue of the longest
 * delay that leaves the margin, and measures anew whenever it comes out. So whatever makes it come out late is made good by
 * the shorter queues after it, and in the end by the sender that holds it.
 */
export const HOLD_DELAYS_MS: readonly number[] = Array.from(
  { length: HOLD_EXPONENTS },
  (_, exponent) => 1_000 * 4 ** exponent,
);

/**
 * An SMS is to come out of a hold queue this long before its moment, because RabbitMQ takes a while to hand it over. On a
 * machine with five times the work that it can do, 1 % of the SMS were late by 1.2 s without the margin, and by 0.4 s with it.
 */
export const HOLD_MARGIN_MS = 500;

/** How long journal lines wait before a recorder gets them again. */
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

/** The routing key of the hold queue with that delay: `hold.16s`. */
export function holdRoutingKey(delayMs: number): string {
  return `hold.${formatDuration(delayMs)}`;
}

/** The hold queue for an SMS that must wait that long: undefined where even the shortest delay is too long. */
export function holdRoutingKeyFor(waitMs: number): string | undefined {
  const delayMs = HOLD_DELAYS_MS.findLast((delay) => delay + HOLD_MARGIN_MS <= waitMs);
  return delayMs === undefined ? undefined : holdRoutingKey(delayMs);
}

const HOLD_DELAYS_BY_KEY = new Map(HOLD_DELAYS_MS.map((delayMs) => [holdRoutingKey(delayMs), delayMs]));

/** The delay in milliseconds of the hold queue with that routing key; undefined for the key of another queue. */
export function holdDelayOf(routingKey: string): number | undefined {
  return HOLD_DELAYS_BY_KEY.get(routingKey);
}

/** Reads the delay in milliseconds back from a queue's name; undefined for a queue that is no hold queue. */
export function parseHoldQueueName(prefix: string, queueName: string): number | undefined {
  return queueName.startsWith(`${prefix}.`) ? holdDelayOf(queueName.slice(prefix.length + 1)) : undefined;
}

/** The queue for fresh SMS of that priority: `high`, `work` (its first shard) or `low`. */
export function routingKeyOfPriority(priority: Priority | undefined): string {
  return priority === 'high' || priority === 'low' ? priority : ROUTING_KEYS.work;
}

/** The exchange that carries what is Redial's own: `sms` → `sms.internal`. */
export function internalExchangeOf(prefix: string): string {
  return `${prefix}.internal`;
}

/** The exchange that outcome events are published to: `sms` → `sms.events`. */
export function eventsExchangeOf(prefix: string): string {
  return `${prefix}.events`;
}

/** True for the routing keys of fresh SMS, which any client may publish with. */
export function isFreshRoutingKey(routingKey: string): boolean {
  return (
    routingKey.startsWith(ROUTING_KEYS.work) ||
    routingKey === ROUTING_KEYS.high ||
    routingKey === ROUTING_KEYS.low
  );
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

/** True for the queues where SMS wait for a moment, until they come back in the due queue: retry queues and hold queues. */
export function isWaitingQueue(prefix: string, queueName: string): boolean {
  return (
    parseRetryQueueName(prefix, queueName) !== undefined ||
    parseHoldQueueName(prefix, queueName) !== undefined
  );
}

/** The names of such queues among those of a pipeline. */
export function waitingQueueNamesOf(prefix: string, queues: readonly { readonly name: string }[]): string[] {
  return queues.map(({ name }) => name).filter((name) => isWaitingQueue(prefix, name));
}

/** True for the queues of this pipeline, with whatever schedule, however many shards and whatever redrives. */
export function isQueueOf(prefix: string, queueName: string): boolean {
  return (
    isWaitingQueue(prefix, queueName) ||
    isRedriveQueue(prefix, queueName) ||
    parseWorkQueueName(prefix, queueName) !== undefined ||
    Object.values(ROUTING_KEYS).some((routingKey) => queueNameOf(prefix, routingKey) === queueName)
  );
}

/** A regular expression that the name of each such queue matches, and few others: to ask for no more than needed. */
export function queueNamePatternOf(prefix: string): string {
  const escaped = (text: string) => text.replaceAll('.', '\\.');
  const always = Object.values(ROUTING_KEYS).map(escaped).join('|');
  return `^${escaped(prefix)}\\.(${always}|work\\.\\d+|retry\\..*|hold\\..*|redrive\\..*)$`;
}

/**
 * The whole topology of a pipeline.
 * @param prefix QUEUE_NAME
 * @param schedule none for a process that retries nothing
 * @param shardCount work queues that fresh SMS are spread over
 */
export function topologyOf(
  prefix: string,
  schedule: RetrySchedule = [],
  shardCount: number = 1,
): PipelineTopology {
  const internal = internalExchangeOf(prefix);
  const queue = (routingKey: string, more: Queue['arguments']) => ({
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
  // Targets before sources: a dead letter must never find its queue missing. The work queues last: a process that finds them
  // may take all queues before them for complete.
  const bound = [
    queue(ROUTING_KEYS.parked, {}),
    // Not to itself: RabbitMQ drops what would go round without a consumer.
    consumed(ROUTING_KEYS.deadLetters, ROUTING_KEYS.parked),
    consumed(ROUTING_KEYS.journal),
    waiting(ROUTING_KEYS.later, LATER_MS, ROUTING_KEYS.journal),
    consumed(ROUTING_KEYS.due),
    ...HOLD_DELAYS_MS.map((delayMs) => waiting(holdRoutingKey(delayMs), delayMs, ROUTING_KEYS.due)),
    ...schedule.map((delayMs, index) =>
      waiting(retryRoutingKey(index + 1, delayMs), delayMs, ROUTING_KEYS.due),
    ),
    ...[ROUTING_KEYS.high, ROUTING_KEYS.low].map((routingKey) => consumed(routingKey)),
    ...Array.from({ length: shardCount }, (_, shard) => consumed(workRoutingKey(shard))),
  ].map((each) => ({ ...each, name: queueNameOf(prefix, each.routingKey) }));
  return {
    exchanges: [
      { name: prefix, type: 'direct' },
      { name: internal, type: 'direct' },
    ],
    queues: bound.map(({ name, arguments: given }) => ({ name, arguments: given })),
    bindings: bound.map(({ name, routingKey }) => ({
      exchange: isFreshRoutingKey(routingKey) ? prefix : internal,
      queue: name,
      routingKey,
    })),
  };
}

/**
 * What outcome events need: an exchange without a queue. The queues that are bound to it belong to other services. It is
 * declared by the connection that publishes events, and only there: where somebody has made an exchange of that name with
 * another type, RabbitMQ refuses that connection and no other.
 */
export function eventsTopologyOf(prefix: string): Topology {
  return { exchanges: [{ name: eventsExchangeOf(prefix), type: 'topic' }], queues: [], bindings: [] };
}

/**
 * The mirror of `topologyOf`: what to delete of a pipeline, in this order, whatever schedule and shards it had. Bindings go
 * with their queues.
 * @param queueNames the queues there are; those of other pipelines are left out
 */
export function teardownOf(
  prefix: string,
  queueNames: readonly string[],
): { readonly queues: readonly string[]; readonly exchanges: readonly string[] } {
  return {
    queues: queueNames.filter((name) => isQueueOf(prefix, name)),
    exchanges: [...topologyOf(prefix).exchanges, ...eventsTopologyOf(prefix).exchanges].map(
      ({ name }) => name,
    ),
  };
}
