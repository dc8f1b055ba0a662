/**
 * A file that a process touches while it works, for whoever runs it: the health check of a container looks at its
 * age. A file, because it needs no port, and because a process whose event loop stands still cannot touch it.
 */
import { rmSync, statSync, writeFileSync } from 'node:fs';
import { describeError } from './errors.ts';
import type { Clock, Logger } from './ports.ts';

const BEAT_MS = 5_000;
/** Six beats: a busy machine is late, a dead process is silent. */
const MAX_AGE_MS = 30_000;

/**
 * Touches `file` now and every 5 s while `isWorking` says so; without a file it does nothing.
 * @returns ends it and removes the file
 */
export function startHeartbeat(options: {
  readonly file: string | undefined;
  readonly isWorking: () => boolean;
  readonly clock: Clock;
  readonly log: Logger;
}): () => void {
  const { file, isWorking, clock, log } = options;
  if (file === undefined) return () => {};
  let cancel = () => {};
  let isTold = false;
  const beat = () => {
    try {
      if (isWorking()) writeFileSync(file, `${new Date(clock.nowMs()).toISOString()}\n`);
      isTold = false;
    } catch (error) {
      // Whoever looks at the file finds it too old, and this says why.
      if (!isTold) log.warn({ file }, `the heartbeat file cannot be written: ${describeError(error)}`);
      isTold = true;
    }
    cancel = clock.after(BEAT_MS, beat);
  };
  beat();
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
