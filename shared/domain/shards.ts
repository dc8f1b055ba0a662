import { mixBits } from './mix-bits.ts';

/**
 * The shard of the work queue for an SMS, from 0: a function of its id, so that the same SMS, published again, stands in
 * the same queue.
 */
export function shardOf(smsId: string, shardCount: number): number {
  if (shardCount === 1) return 0;
  let hash = smsId.length;
  for (let index = 0; index < smsId.length; index += 1)
    hash = Math.imul(hash ^ smsId.charCodeAt(index), 0x01000193);
  return (mixBits(hash) >>> 0) % shardCount;
}

const LOOK_AGAIN_MS = 5_000;
const LOOKS_PER_SECOND = 10;

/**
 * How long a sender waits before it lists the queues again, in search of further shards: 5 s, and longer where more
 * senders live, so that all of them list the queues ten times a second at most. Half as long to half as long again, for
 * senders that were started together must not ask together.
 * @param random uniform in [0, 1)
 */
export function lookAgainMs(senderCount: number, random: number): number {
  return (0.5 + random) * Math.max(LOOK_AGAIN_MS, (senderCount * 1_000) / LOOKS_PER_SECOND);
}
