/** Redis keys, all beginning with QUEUE_NAME. The Lua scripts build the same names from the same prefix. */
export function redisKeysOf(prefix: string) {
  return {
    /** `run_id/master_replid` of the Redis whose counters are valid. */
    generation: `${prefix}:generation`,
    /** Who rebuilds, while somebody does: `recorder/number of the try/generation`. */
    rebuild: `${prefix}:rebuild`,
    /** Set of the open runs: something is in progress, or was a moment ago. */
    runs: `${prefix}:runs`,
    /** Sorted set of them by the second of their last change, or of the last look at one with something in progress. */
    changedRuns: `${prefix}:runs:changed`,
    /** The same of the runs whose counters are in the total. */
    summedRuns: `${prefix}:runs:summed`,
    /** Hash of the counters of one run, open or summed. */
    run: (run: string) => `${prefix}:run:${run}`,
    /**
     * Hash of what summed runs, and those that are gone, add up to: `announced` is what was accepted. Also how many they are
     * (`runs`, those that are gone among them `gone`), which of them were announced with different inputs
     * (`conflict:<run>`), `moves`, which changes whenever a run comes or leaves, and `since` which second senders have moved
     * runs without a break.
     */
    total: `${prefix}:total`,
    /**
     * Hash of what was counted within one second of Redis' clock: `<run>|attempts`, `<run>|attemptsFailed`, `<run>|sent`,
     * and `<run>|processing:<bucket>` and `<run>|lateness:<bucket>` as in the hash of the run.
     */
    recent: (second: number) => `${prefix}:recent:${second}`,
    /** Sorted set of living senders by their last heartbeat, in seconds of Redis' clock. */
    alive: `${prefix}:alive`,
    /** The same of those that can record, less half a second (see `beatAt` in scripts.ts): their claims are left alone. */
    recorders: `${prefix}:recorders`,
    /** The same of those that move runs on: see TIDY in scripts.ts. */
    tidying: `${prefix}:tidying`,
    /** Hash of senders and their settings. */
    senders: `${prefix}:senders`,
    /** Hash of senders at which outcomes wait, and why: a sentence. */
    troubles: `${prefix}:troubles`,
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

/** A sender is counted as living until it has missed two heartbeats. What it has claimed is kept for longer. */
export const SIGN_OF_LIFE_SECONDS = 5;

/** A run with nothing in progress is summed when it has not changed for this long (or for KEEP_TIME, where that is less). */
export const RUN_STILL_SECONDS = 60;

/** A restored SMS is remembered for this long at least: see scripts.ts. */
export const RESTORED_LIFE_SECONDS = 3_600;

/** Where Redis was away from everybody, those who lived before get this long to say that they still do. */
export const HEARTBEAT_GRACE_SECONDS = 8;

/** What was counted within a second is kept for the last minute of the monitor, and a little longer. */
export const RECENT_LIFE_SECONDS = 75;
