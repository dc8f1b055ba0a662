/**
 * The log in a file, beside the console. A thread of its own writes the file, so that no state of a disk holds up the process.
 * What the thread has not taken yet is bounded; beyond the bound lines are dropped and counted, as they are where the file
 * cannot be written. When there is room again, a line says how many are missing.
 *
 * pino-roll was tried and not taken: docs/decisions.md says why.
 */
import { accessSync, constants } from 'node:fs';
import { dirname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { ConfigurationError } from '../../errors.ts';
import { systemClock } from '../system-clock.ts';
import { type Batch, type WritingOptions, weightOf } from './batch.ts';
import { RotatingFile } from './rotating-file.ts';

export interface LogFileOptions {
  readonly path: string;
  /** The fields of the line that stands where lines are missing, beside their number and the time. */
  readonly gap: object;
  /** Called when lines begin to be dropped. */
  readonly onTrouble: (error: NodeJS.ErrnoException) => void;
  readonly limits?: Limits;
}

/** How large a file becomes, and how many that were put aside are kept. */
export type Limits = Pick<WritingOptions, 'maxBytes' | 'keptCount'>;

const LIMITS: Limits = { maxBytes: 10_000_000, keptCount: 14 };
/** In characters: the log of a second or two at level debug under full load. */
const MAX_WAITING = 4 * 1024 * 1024;
const BATCH = 64 * 1024;
/** How long the end of the process waits for the last lines. */
const LAST_LINES_WITHIN_MS = 2_000;
/** A full disk has room again some day. */
const PASSING = new Set(['ENOSPC', 'EDQUOT']);
const PLAIN: Readonly<Record<string, string>> = {
  EISDIR: 'it is a folder',
  ELOOP: 'it is a symbolic link; name the file itself',
};

export class LogFile {
  readonly #options: LogFileOptions;
  readonly #waiting = new Int32Array(new SharedArrayBuffer(4));
  #worker: Worker | undefined;
  #lines = '';
  #missingCount = 0;

  /** @throws ConfigurationError where the file can never be written */
  constructor(options: LogFileOptions) {
    this.#options = options;
    requireWritable(options.path);
  }

  /** Takes a line, with its line feed, or drops it. Never throws, never waits. */
  write(line: string): void {
    if (this.#isBehind) {
      this.#post();
      if (this.#missingCount === 0) this.#options.onTrouble(behindError());
      this.#missingCount += 1;
      return;
    }
    if (this.#lines === '') setImmediate(() => this.#post());
    this.#lines += line;
    if (this.#lines.length > BATCH) this.#post();
  }

  /** Waits until all lines are handled, for 2 s at most. The process stands still meanwhile. */
  finish(): void {
    this.#post();
    if (this.#worker === undefined) return;
    // Without lines: where lines are missing, their number is told.
    this.#handOver('');
    const deadlineMs = systemClock.nowMs() + LAST_LINES_WITHIN_MS;
    for (let waiting = this.#handedOver; waiting > 0; waiting = this.#handedOver) {
      const leftMs = deadlineMs - systemClock.nowMs();
      if (leftMs <= 0) return;
      Atomics.wait(this.#waiting, 0, waiting, Math.min(leftMs, LAST_LINES_WITHIN_MS));
    }
  }

  get #handedOver(): number {
    return Atomics.load(this.#waiting, 0);
  }

  /** Where lines were dropped, some room is waited for before the next is taken. */
  get #isBehind(): boolean {
    return this.#handedOver > (this.#missingCount > 0 ? MAX_WAITING / 2 : MAX_WAITING);
  }

  #post(): void {
    const lines = this.#lines;
    if (lines === '') return;
    this.#lines = '';
    this.#handOver(lines);
  }

  #handOver(lines: string): void {
    const batch: Batch = { lines, missingBefore: this.#missingCount };
    this.#missingCount = 0;
    this.#worker ??= this.#startWorker();
    Atomics.add(this.#waiting, 0, weightOf(batch));
    this.#worker.postMessage(batch);
  }

  /** A command that logs nothing needs no thread. */
  #startWorker(): Worker {
    const { path, gap, onTrouble, limits = LIMITS } = this.#options;
    const workerData: WritingOptions = { path, gap, ...limits, waiting: this.#waiting };
    const worker = new Worker(new URL('./writing-worker.js', import.meta.url), { workerData, execArgv: [] });
    worker.on('message', onTrouble);
    // Without the thread, lines are dropped once the bound is reached.
    worker.on('error', onTrouble);
    worker.unref();
    return worker;
  }
}

function requireWritable(path: string): void {
  const file = new RotatingFile({
    ...{ path, ...LIMITS },
    ...{ nowMs: systemClock.nowMs, describeGap: () => '' },
  });
  try {
    file.open();
    // Files are put aside there.
    accessSync(dirname(path), constants.W_OK);
  } catch (error) {
    const { code = '', message } = error as NodeJS.ErrnoException;
    if (PASSING.has(code)) return;
    throw new ConfigurationError([`LOG_FILE cannot be written: ${PLAIN[code] ?? message}`]);
  } finally {
    file.close();
  }
}

function behindError(): NodeJS.ErrnoException {
  return Object.assign(new Error('the disk is too slow for it'), { code: 'BEHIND' });
}
