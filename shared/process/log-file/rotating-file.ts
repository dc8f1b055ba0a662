/**
 * A log file that keeps itself small: it is put aside when it is full or of an earlier day (UTC), and the oldest ones that
 * were put aside are deleted.
 *
 * Several processes may write to one file. Each appends whole lines with one write, which the system does not mix with those
 * of others (O_APPEND). Before each write a process looks whether the file at the path is still the one that it has open:
 * another process, a person or logrotate may have put it aside. One process at a time puts the file aside, under a lock that
 * the others do not wait for: they write on into the file that is there. Its new name is one that no other file can have, so
 * that nothing is overwritten whatever happens.
 */
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  constants,
  fchownSync,
  fstatSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  rmSync,
  type Stats,
  statSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { sleep } from '../line-output.ts';
import { systemClock } from '../system-clock.ts';

export interface RotatingFileOptions {
  readonly path: string;
  readonly maxBytes: number;
  /** How many files that were put aside are kept. */
  readonly keptCount: number;
  readonly nowMs: () => number;
  /** The line, with its line feed, that stands where lines are missing. */
  readonly describeGap: (lineCount: number) => string;
}

const { O_RDWR, O_APPEND, O_CREAT, O_NOFOLLOW, O_NONBLOCK } = constants;
// A pipe without a reader, or with one that is slow, would hold up the process.
const OPEN_FLAGS = O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK;
const FILE_MODE = 0o640;
const FOLDER_MODE = 0o750;
// The system shows a long write of another process piece by piece.
const WRITTEN_WITHIN_MS = 20;
const LINE_FEED = 10;
const ROOT = 0;
/** What follows the name of the log: the moment, which tells the order, and chance. */
const PUT_ASIDE = /^\.(\d{8}T\d{6}\.\d{3}Z)\.[0-9a-f]{8}$/;
const LOCK_ENDING = '.rotating';
// It is held for a millisecond. A process that was killed meanwhile leaves it behind.
const LOCK_FORGOTTEN_AFTER_MS = 10_000;

export class RotatingFile {
  readonly #options: RotatingFileOptions;
  readonly #folder: string;
  #fileDescriptor: number | undefined;
  #file: Pick<Stats, 'ino' | 'dev'> | undefined;
  #size = 0;
  /** The day that the lines in the file are of. */
  #day = '';
  #missingCount = 0;

  constructor(options: RotatingFileOptions) {
    this.#options = options;
    this.#folder = dirname(options.path);
  }

  /** Appends lines, each with its line feed. @returns why some of them are missing; undefined where all are written */
  append(lines: string, missingBefore = 0): NodeJS.ErrnoException | undefined {
    this.#missingCount += missingBefore;
    let rest: Buffer = Buffer.from(lines);
    try {
      this.#look();
      if (this.#missingCount > 0) {
        this.#write(Buffer.from(this.#options.describeGap(this.#missingCount)));
        this.#missingCount = 0;
      }
      while (rest.length > 0) rest = rest.subarray(this.#writeWhatFits(rest));
      return undefined;
    } catch (error) {
      this.#missingCount += countLines(rest.subarray(wholeLinesWritten(error)));
      this.close();
      return error as NodeJS.ErrnoException;
    }
  }

  /** Opens the file, and makes it and its folder where they are missing. @throws what the system says */
  open(): void {
    const { path } = this.#options;
    mkdirSync(this.#folder, { recursive: true, mode: FOLDER_MODE });
    const fileDescriptor = openSync(path, OPEN_FLAGS, FILE_MODE);
    this.#fileDescriptor = fileDescriptor;
    const file = fstatSync(fileDescriptor);
    if (!file.isFile())
      throw Object.assign(new Error('not a file, but a pipe or a device'), { code: 'ENOTFILE' });
    this.#file = file;
    this.#size = file.size;
    this.#day = file.size === 0 ? this.#today : dayOf(file.mtimeMs);
    if (file.size === 0) giveToOwnerOf(this.#folder, fileDescriptor);
  }

  close(): void {
    const fileDescriptor = this.#fileDescriptor;
    this.#fileDescriptor = undefined;
    try {
      if (fileDescriptor !== undefined) closeSync(fileDescriptor);
    } catch {
      // What a disk says at the end of a file cannot be mended.
    }
  }

  get #today(): string {
    return dayOf(this.#options.nowMs());
  }

  /** Sees to it that the right file is open, and that it ends with a line feed. */
  #look(): void {
    if (this.#fileDescriptor !== undefined && !this.#isInPlace()) this.close();
    if (this.#fileDescriptor === undefined) this.open();
    this.#size = fstatSync(this.#opened).size;
    if (this.#size > 0 && this.#day < this.#today) this.#rotate();
    if (this.#endsWithinLine()) this.#write(Buffer.from('\n'));
  }

  get #opened(): number {
    return this.#fileDescriptor ?? -1;
  }

  #isInPlace(): boolean {
    const there = statSync(this.#options.path, { throwIfNoEntry: false });
    return there !== undefined && this.#isOpened(there);
  }

  #isOpened({ ino, dev }: Stats): boolean {
    return ino === this.#file?.ino && dev === this.#file.dev;
  }

  /** A process that was killed, or whose disk was full, may have left a part of a line. One that is writing is waited for. */
  #endsWithinLine(): boolean {
    for (let seenSize = -1; this.#size > 0 && !this.#endsWithLineFeed(); ) {
      if (this.#size === seenSize) return true;
      seenSize = this.#size;
      sleep(WRITTEN_WITHIN_MS);
      this.#size = fstatSync(this.#opened).size;
    }
    return false;
  }

  #endsWithLineFeed(): boolean {
    const last = Buffer.alloc(1);
    readSync(this.#opened, last, 0, 1, this.#size - 1);
    return last[0] === LINE_FEED;
  }

  /** @returns how many bytes were written: whole lines, at least one */
  #writeWhatFits(lines: Buffer): number {
    const room = this.#options.maxBytes - this.#size;
    let end = lines.subarray(0, Math.max(0, room)).lastIndexOf(LINE_FEED) + 1;
    if (end === 0) {
      if (this.#size > 0) this.#rotate();
      // Beyond the size, too, where another process is about to put the file aside.
      end = lines.subarray(0, this.#options.maxBytes).lastIndexOf(LINE_FEED) + 1;
      // A line that is longer than a file may be gets a file of its own.
      if (end === 0) end = lines.indexOf(LINE_FEED) + 1;
    }
    this.#write(lines.subarray(0, end));
    return end;
  }

  /** Writes lines, or of them as many whole ones as there is room for. @throws where not all are written */
  #write(lines: Buffer): void {
    const written = writeSync(this.#opened, lines);
    const size = this.#size + written;
    this.#size = size;
    if (written === lines.length) return;
    const wholeBytes = lines.subarray(0, written).lastIndexOf(LINE_FEED) + 1;
    // The part of a line is taken away, but not where another process has written behind it.
    if (fstatSync(this.#opened).size === size) ftruncateSync(this.#opened, size - written + wholeBytes);
    throw new ShortWrite(wholeBytes);
  }

  /** Puts the file aside and begins a new one, where no other process is about to. */
  #rotate(): void {
    const lock = `${this.#options.path}${LOCK_ENDING}`;
    if (!takeLock(lock)) return;
    try {
      if (this.#isInPlace()) {
        const names = this.#namesAside();
        const newest = PUT_ASIDE.exec(names.at(-1)?.slice(this.#name.length) ?? '')?.[1] ?? '';
        const moment = momentAfter(newest, this.#options.nowMs());
        renameSync(this.#options.path, `${this.#options.path}.${moment}.${randomBytes(4).toString('hex')}`);
        const old = names.slice(0, Math.max(0, names.length + 1 - this.#options.keptCount));
        for (const name of old) rmSync(join(this.#folder, name), { force: true });
      }
      this.close();
      this.open();
    } finally {
      rmSync(lock, { force: true });
    }
  }

  get #name(): string {
    return basename(this.#options.path);
  }

  /** The files that were put aside, the oldest first. */
  #namesAside(): string[] {
    return readdirSync(this.#folder)
      .filter((name) => name.startsWith(this.#name) && PUT_ASIDE.test(name.slice(this.#name.length)))
      .sort();
  }
}

/** Not all lines were written: the disk is full, or the file may not become larger. */
class ShortWrite extends Error {
  readonly code = 'ENOSPC';
  readonly wholeBytes: number;

  constructor(wholeBytes: number) {
    super('ENOSPC: no space left on device, write');
    this.wholeBytes = wholeBytes;
  }
}

function wholeLinesWritten(error: unknown): number {
  return error instanceof ShortWrite ? error.wholeBytes : 0;
}

/** A command that root runs must not make a file that the services cannot write to. */
function giveToOwnerOf(folder: string, fileDescriptor: number): void {
  if (process.getuid?.() !== ROOT) return;
  const { uid, gid } = statSync(folder);
  if (uid !== ROOT) fchownSync(fileDescriptor, uid, gid);
}

/** @returns false where another process holds it */
function takeLock(path: string): boolean {
  try {
    closeSync(openSync(path, 'wx', FILE_MODE));
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    const madeAtMs = statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Number.POSITIVE_INFINITY;
    // Its time is of the machine's clock. The next write tries again.
    if (Math.abs(systemClock.nowMs() - madeAtMs) > LOCK_FORGOTTEN_AFTER_MS) rmSync(path, { force: true });
    return false;
  }
}

function countLines(bytes: Buffer): number {
  let count = 0;
  for (let at = bytes.indexOf(LINE_FEED); at !== -1; at = bytes.indexOf(LINE_FEED, at + 1)) count += 1;
  return count;
}

/** `2026-11-22` */
function dayOf(atMs: number): string {
  return new Date(atMs).toISOString().slice(0, 10);
}

/** `20261122T100000.123Z`, later than the one before also where the clock is not. */
function momentAfter(before: string, nowMs: number): string {
  const iso = before.replace(/^(\d{4})(\d\d)(\d\dT\d\d)(\d\d)/, '$1-$2-$3:$4:');
  const afterMs = before === '' ? 0 : Date.parse(iso) + 1;
  return new Date(Math.max(nowMs, afterMs)).toISOString().replace(/[-:]/g, '');
}
