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
    /** Sorted set of living senders by their last sign of life, in seconds of Redis' clock. */
    alive: `${prefix}:alive`,
    /** The same of senders that can record, less half a second (see lua/session.lua): their claims are left alone. */
    recorders: `${prefix}:recorders`,
    /** The same of senders that move runs on, see lua/tidy.lua. */
    tidying: `${prefix}:tidying`,
    /** Hash of senders and their settings. */
    senders: `${prefix}:senders`,
    /** Hash of senders at which outcomes wait, and why: a sentence. */
    troubles: `${prefix}:troubles`,
    /** Hash of starts without an end, by SMS id. */
    starts: `${prefix}:starts`,
    /** Set of the reasons for which SMS failed that are counted by name, see domain/outcome/failure-reason.ts. */
    reasons: `${prefix}:reasons`,
    /** When the gateway takes SMS again, milliseconds of Redis' clock. Redis forgets the key then. */
    pause: `${prefix}:pause`,
    /** Hash of how often each sender was throttled since it started; `gone` sums senders that are gone, see lua/tidy.lua. */
    throttled: `${prefix}:throttled`,
    /** Sorted set of directives (see shared/domain/sms/directive.ts) by their number. */
    directives: `${prefix}:directives`,
    /** The same by the second when they were given. */
    directivesGiven: `${prefix}:directives:given`,
    /** Hash: the highest number (`last`), and the `epoch` that changes when Redis was emptied. */
    directivesHead: `${prefix}:directives:head`,
    /** Hash of senders: the number each knows, and the second when it said so. */
    directivesKnown: `${prefix}:directives:known`,
    /** Hash of directives that a sender ended an SMS for. */
    directivesMet: `${prefix}:directives:met`,
    /** Hash of senders: what each told of itself with its last sign of life, JSON. */
    reports: `${prefix}:reports`,
    /** List of what monitors with a page kept of the last hour, see lua/keep-sample.lua. */
    history: `${prefix}:history`,
    /** Ids met with two contents, at most 1,000. */
    conflicts: `${prefix}:conflicts`,
    /** What the simulated carrier can take at once, see lua/take-capacity.lua. */
    capacity: `${prefix}:capacity`,
    /** A request to the API, see lua/claim-request.lua. */
    request: (name: string) => `${prefix}:request:${name}`,
    /** What is known of one SMS, see lua/sms.lua. */
    sms: (smsId: string) => `${prefix}:sms:${smsId}`,
  };
}

/** A sender is counted as living until it has missed two signs of life. What it has claimed is kept for longer. */
export const SILENT_AFTER_SECONDS = 5;
