/** How long Redis, and what stands for Redis in a rehearsal, waits before it takes something for gone or for over. */

/** A sender that gave no sign of life for this long is gone, and others may take its claims over. */
export const GONE_AFTER_SECONDS = 15;

/** Where Redis was away from everybody, recorders that lived before get this long to say that they still do. */
export const GRACE_SECONDS = 8;

/** A run with nothing in progress is summed when it has not changed for this long (or for KEEP_TIME, where that is less). */
export const RUN_STILL_SECONDS = 60;

/** A restored SMS is remembered for this long at least. */
export const RESTORED_LIFE_SECONDS = 3_600;
