/**
 * Lines on stdout or stderr, of a process that goes on when they cannot be written: the disk of the log is full, its
 * reader is gone or is slow. Such lines are dropped and counted; when there is room again, a line says how many.
 *
 * Written at once and not through a stream: a stream keeps without bound what its reader does not take, ends the process
 * with an error nobody listens to, and loses the last lines of a process that dies.
 */
import { constants, openSync, writeSync } from 'node:fs';
import { isatty } from 'node:tty';

import { systemClock } from './system-clock.ts';

export interface LineOutput {
  /** Writes a line, with its line feed, or drops it. Never throws. */
  write(line: string): void;
}

export interface LineOutputOptions {
  readonly fileDescriptor: number;
  /** The line that stands where lines were dropped. */
  readonly describeGap: (lineCount: number) => string;
  /** Called when lines begin to be dropped; what it throws is ignored. */
  readonly onTrouble: (error: NodeJS.ErrnoException) => void;
}

// A reader that has fallen behind for a moment is waited for; the process stands still meanwhile, at most a fifth of its time.
const PATIENCE_MS = 200;
const PATIENCE_PER_MS = 1_000;
const PAUSE_MS = 5;

export function createLineOutput({ fileDescriptor, describeGap, onTrouble }: LineOutputOptions): LineOutput {
  /** The end of a line whose beginning is written. */
  let rest: Buffer = Buffer.alloc(0);
  let droppedCount = 0;
  let isInTrouble = false;
  let patienceLeftMs = PATIENCE_MS;
  let patientSinceMs = 0;
  const output = refusing(fileDescriptor);

  /** @returns how many bytes were written; fewer than all, and the error, where it goes no further */
  const put = (bytes: Buffer): { readonly written: number; readonly error?: NodeJS.ErrnoException } => {
    let written = 0;
    const nowMs = systemClock.nowMs();
    if (Math.abs(nowMs - patientSinceMs) >= PATIENCE_PER_MS) {
      patientSinceMs = nowMs;
      patienceLeftMs = PATIENCE_MS;
    }
    while (written < bytes.length) {
      try {
        written += writeSync(output, bytes, written);
      } catch (error) {
        const failure = error as NodeJS.ErrnoException;
        if (failure.code !== 'EAGAIN' || isInTrouble || patienceLeftMs <= 0)
          return { written, error: failure };
        patienceLeftMs -= PAUSE_MS;
        sleep(PAUSE_MS);
      }
    }
    return { written };
  };

  /** A line is written from its first byte on, or not at all: what is missing of it comes first when there is room. */
  const putLine = (bytes: Buffer): boolean => {
    const { written, error } = put(bytes);
    if (error === undefined) return true;
    if (written > 0) rest = bytes.subarray(written);
    if (!isInTrouble) {
      isInTrouble = true;
      tell(error);
    }
    return written > 0;
  };

  const tell = (error: NodeJS.ErrnoException) => {
    try {
      onTrouble(error);
    } catch {
      // The other stream may be just as full.
    }
  };

  /** What an earlier trouble left to be written. @returns whether there is room for more */
  const catchUp = (): boolean => {
    const unfinished = rest;
    rest = Buffer.alloc(0);
    if (unfinished.length > 0 && !putLine(unfinished)) rest = unfinished;
    if (rest.length > 0) return false;
    if (droppedCount > 0) {
      if (!putLine(Buffer.from(describeGap(droppedCount)))) return false;
      droppedCount = 0;
    }
    return rest.length === 0;
  };

  return {
    write(line) {
      if (catchUp() && putLine(Buffer.from(line))) {
        isInTrouble = rest.length > 0;
        return;
      }
      droppedCount += 1;
    },
  };
}

/** A file descriptor for the same output that refuses (EAGAIN) where it is full, instead of holding up the process. */
export function refusing(fileDescriptor: number): number {
  // Node.js turns a pipe into one that refuses when it makes its stream, and back at its end.
  void (fileDescriptor === 1 ? process.stdout : process.stderr).writable;
  if (!isatty(fileDescriptor)) return fileDescriptor;
  // A terminal that Ctrl-S has stopped is full. It is opened once more, because the shell writes on it too.
  try {
    const { O_WRONLY, O_NONBLOCK, O_NOCTTY } = constants;
    return openSync(`/proc/self/fd/${fileDescriptor}`, O_WRONLY | O_NONBLOCK | O_NOCTTY);
  } catch {
    return fileDescriptor;
  }
}

/** The process stands still meanwhile. */
export function sleep(durationMs: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, durationMs);
}
