import { mixBits } from '../mix-bits.ts';
import type { Priority } from '../sms/sms.ts';
import { ROUTING_KEYS, routingKeyOfPriority, workRoutingKey } from './topology.ts';

/**
 * The shard of the work queue for an SMS, from 0. It is a function of the id, so an SMS that is published again stands in the
 * same queue.
 */
export function shardOf(smsId: string, shardCount: number): number {
  if (shardCount === 1) return 0;
  let hash = smsId.length;
  for (let index = 0; index < smsId.length; index += 1)
    hash = Math.imul(hash ^ smsId.charCodeAt(index), 0x01000193);
  return (mixBits(hash) >>> 0) % shardCount;
}

/** Where a fresh SMS is published: its lane, and its shard of the work queue. */
export function freshRoutingKeyOf(smsId: string, priority: Priority | undefined, shardCount: number): string {
  const routingKey = routingKeyOfPriority(priority);
  return routingKey === ROUTING_KEYS.work ? workRoutingKey(shardOf(smsId, shardCount)) : routingKey;
}

const LOOK_AGAIN_MS = 5_000;
const LOOKS_PER_SECOND = 10;

/**
 * How long a sender waits before it lists the queues again, in search of further shards: 5 s, and longer where many senders
 * live, so that all of them together list the queues at most ten times a second. The wait varies from half as long to half as
 * long again, because senders that were started together must not ask together.
 * @param random uniform in [0, 1)
 */
export function lookAgainMs(senderCount: number, random: number): number {
  return (0.5 + random) * Math.max(LOOK_AGAIN_MS, (senderCount * 1_000) / LOOKS_PER_SECOND);
}
