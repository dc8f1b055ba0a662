/**
 * The health file: a process touches it while it works, and the health check of its container looks at its age. A file
 * needs no port, and a process whose event loop stands still cannot touch it.
 */
import { rmSync, statSync, writeFileSync } from 'node:fs';
import { describeError } from '../errors.ts';
import type { Clock } from '../ports/clock.ts';
import type { Logger } from '../ports/logger.ts';

const TOUCH_EVERY_MS = 5_000;
/** Six times as long: a busy machine touches its file late, a dead process never. */
const MAX_AGE_MS = 30_000;

/**
 * Touches `file` now and every 5 s while `isWorking` says so. Without a file it does nothing.
 * @returns ends it and removes the file
 */
export function keepHealthFile(options: {
  readonly file: string | undefined;
  readonly isWorking: () => boolean;
  readonly clock: Clock;
  readonly log: Logger;
}): () => void {
  const { file, isWorking, clock, log } = options;
  if (file === undefined) return () => {};
  let cancel = () => {};
  let isTold = false;
  const touch = () => {
    try {
      if (isWorking()) writeFileSync(file, `${new Date(clock.nowMs()).toISOString()}\n`);
      isTold = false;
    } catch (error) {
      // The health check only finds the file too old: this line says why.
      if (!isTold) log.warn({ file }, `the health file cannot be written: ${describeError(error)}`);
      isTold = true;
    }
    cancel = clock.after(TOUCH_EVERY_MS, touch);
  };
  touch();
  return () => {
    cancel();
    rmSync(file, { force: true });
  };
}

/** What is wrong with the process that touches `file`, as a sentence; undefined when it is well. */
export function findAilment(file: string | undefined, nowMs: number): string | undefined {
  if (file === undefined || file === '')
    return 'HEARTBEAT_FILE is not set: set it for this command and for the process it looks after';
  const touched = statSync(file, { throwIfNoEntry: false });
  if (touched === undefined)
    return `${file} is not there: the process is not working yet, or was started without HEARTBEAT_FILE`;
  const ageMs = nowMs - touched.mtimeMs;
  if (ageMs <= MAX_AGE_MS) return undefined;
  return `${file} was last touched ${Math.round(ageMs / 1_000)} s ago, at most ${MAX_AGE_MS / 1_000} s are well: the process hangs, or is without RabbitMQ`;
}
