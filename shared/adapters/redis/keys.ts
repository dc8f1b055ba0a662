/** Redis keys, all beginning with QUEUE_NAME. The Lua scripts build the same names from the same prefix. */
export function redisKeysOf(prefix: string) {
  return {
    /** `run_id/master_replid` of the Redis whose counters are valid. */
    generation: `${prefix}:generation`,
    /** Who rebuilds, while somebody does: `recorder/number of the try/generation`. */
    rebuild: `${prefix}:rebuild`,
    /** Set of all runs. */
    runs: `${prefix}:runs`,
    /** Hash of the counters of one run. */
    run: (run: string) => `${prefix}:run:${run}`,
    /** Hash of what was counted within one second of Redis' clock, `<run>|attempts` and `<run>|sent`. */
    recent: (second: number) => `${prefix}:recent:${second}`,
    /** Sorted set of living senders by their last heartbeat, in seconds of Redis' clock. */
    alive: `${prefix}:alive`,
    /** The same of those that can record, less half a second (see `beatAt` in scripts.ts): their claims are left alone. */
    recorders: `${prefix}:recorders`,
    /** Hash of senders and their settings. */
    senders: `${prefix}:senders`,
    /** Hash of starts without an end, by SMS id. */
    starts: `${prefix}:starts`,
    /** Ids met with two contents, at most 1,000. */
    conflicts: `${prefix}:conflicts`,
    /** What is known of one SMS; see scripts.ts. */
    sms: (smsId: string) => `${prefix}:sms:${smsId}`,
  };
}

/** A sender without a heartbeat for this long is gone, and others may take its claims over. */
export const HEARTBEAT_LIFE_SECONDS = 15;

/** A restored SMS is remembered for this long at least: see scripts.ts. */
export const RESTORED_LIFE_SECONDS = 3_600;

/** Where Redis was away from everybody, those who lived before get this long to say that they still do: two heartbeats. */
export const HEARTBEAT_GRACE_SECONDS = 8;
