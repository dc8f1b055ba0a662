/**
 * Lines on stdout or stderr of a process that goes on when its lines cannot be written: the disk of the log is full, or the
 * reader is gone or slow. Such lines are dropped and counted. When there is room again, a line says how many are missing.
 *
 * Lines are written at once and not through a stream. A stream keeps without bound what its reader does not take, ends the
 * process with an error nobody listens to, and loses the last lines of a process that dies.
 */
import { constants, openSync, writeSync } from 'node:fs';
import { isatty } from 'node:tty';

import { systemClock } from './system-clock.ts';

export interface LineOutputOptions {
  readonly fileDescriptor: number;
  /** The line that stands where lines were dropped. */
  readonly describeGap: (lineCount: number) => string;
  /** Called when lines begin to be dropped; what it throws is ignored. */
  readonly onTrouble: (error: NodeJS.ErrnoException) => void;
}

// A reader that has fallen behind for a moment is waited for. The process stands still meanwhile, at most a fifth of its time.
const PATIENCE_MS = 200;
const PATIENCE_PER_MS = 1_000;
const PAUSE_MS = 5;
const NOTHING = Buffer.alloc(0);

export class LineOutput {
  readonly #options: LineOutputOptions;
  readonly #fileDescriptor: number;
  /** The end of a line whose beginning is written. */
  #rest: Buffer = NOTHING;
  #droppedCount = 0;
  #isInTrouble = false;
  #patienceLeftMs = PATIENCE_MS;
  #patientSinceMs = 0;

  constructor(options: LineOutputOptions) {
    this.#options = options;
    this.#fileDescriptor = refusing(options.fileDescriptor);
  }

  /** Writes a line, with its line feed, or drops it. Never throws. */
  write(line: string): void {
    if (this.#catchUp() && this.#begin(line)) this.#isInTrouble = this.#rest.length > 0;
    else this.#droppedCount += 1;
  }

  /** Writes what an earlier trouble left to be written. @returns whether there is room for more */
  #catchUp(): boolean {
    this.#rest = this.#put(this.#rest);
    if (this.#rest.length > 0) return false;
    if (this.#droppedCount > 0 && this.#begin(this.#options.describeGap(this.#droppedCount)))
      this.#droppedCount = 0;
    return this.#droppedCount === 0 && this.#rest.length === 0;
  }

  /** Writes a line from its first byte on, or not at all. What is missing of a line that was begun is kept. */
  #begin(line: string): boolean {
    const bytes = Buffer.from(line);
    const left = this.#put(bytes);
    if (left.length === bytes.length) return false;
    this.#rest = left;
    return true;
  }

  /** Writes as much as there is room for. @returns what could not be written */
  #put(bytes: Buffer): Buffer {
    const nowMs = systemClock.nowMs();
    if (Math.abs(nowMs - this.#patientSinceMs) >= PATIENCE_PER_MS) {
      this.#patientSinceMs = nowMs;
      this.#patienceLeftMs = PATIENCE_MS;
    }
    let left = bytes;
    while (left.length > 0) {
      try {
        left = left.subarray(writeSync(this.#fileDescriptor, left));
      } catch (error) {
        const failure = error as NodeJS.ErrnoException;
        const isFull = failure.code === 'EAGAIN';
        if (!isFull || this.#isInTrouble || this.#patienceLeftMs <= 0) {
          this.#tell(failure);
          return left;
        }
        this.#patienceLeftMs -= PAUSE_MS;
        sleep(PAUSE_MS);
      }
    }
    return left;
  }

  #tell(error: NodeJS.ErrnoException): void {
    if (this.#isInTrouble) return;
    this.#isInTrouble = true;
    try {
      this.#options.onTrouble(error);
    } catch {
      // The other stream may be just as full.
    }
  }
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
