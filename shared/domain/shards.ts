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
