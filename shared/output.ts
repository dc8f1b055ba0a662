/**
 * What commands write. Three kinds, by what becomes of them where they cannot be written:
 *
 * - Data, on stdout: written in full, or the command fails. A reader that is gone has seen enough; that is no failure.
 * - Talk, on stderr: dropped.
 * - The log of a service: dropped, counted and told (line-output.ts).
 *
 * Written by writeSync and not through process.stdout: a stream keeps in memory what its reader does not take, keeps the
 * process until the reader takes it, also after a signal, and tells an error when the command has gone on already.
 */
import { writeSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { isatty } from 'node:tty';

import { printableLines } from './domain/printable.ts';
import { OutputError } from './errors.ts';
import { createLineOutput, type LineOutput, refusing, sleep } from './line-output.ts';

const FIRST_PAUSE_MS = 1;
const LONGEST_PAUSE_MS = 50;
// Asked at the start: a terminal that was closed is none any more.
const TERMINALS: ReadonlySet<number> = new Set([1, 2].filter((fileDescriptor) => isatty(fileDescriptor)));

/**
 * Writes data to stdout and waits for a reader that is slow, until the signal aborts.
 * @returns false where nobody reads it: the reader is gone, or had not taken all of it when the signal aborted
 * @throws OutputError where it cannot be written: the disk is full
 */
export async function writeData(text: string, signal?: AbortSignal): Promise<boolean> {
  let rest: Buffer = Buffer.from(text);
  let pauseMs = FIRST_PAUSE_MS;
  for (;;) {
    const written = writeSome(rest);
    if (written === undefined) return false;
    rest = rest.subarray(written);
    if (rest.length === 0) return true;
    pauseMs = written > 0 ? FIRST_PAUSE_MS : Math.min(pauseMs * 2, LONGEST_PAUSE_MS);
    await pause(pauseMs, undefined, signal === undefined ? {} : { signal }).catch(() => {});
    if (signal?.aborted === true) return false;
  }
}

/**
 * The same in one go, for a process that does not catch signals yet: it stands still meanwhile.
 * @throws OutputError
 */
export function writeDataNow(text: string): void {
  let rest: Buffer = Buffer.from(text);
  for (;;) {
    const written = writeSome(rest);
    if (written === undefined) return;
    rest = rest.subarray(written);
    if (rest.length === 0) return;
    sleep(LONGEST_PAUSE_MS);
  }
}

let stdout: number | undefined;
let talk: LineOutput | undefined;

/** Talk to people: lines on stderr, dropped where they cannot be written. Never throws. */
export function say(text: string): void {
  writeTalk(`${printableLines(text)}\n`);
}

/** Lines that are ready to be written to stderr, each with its line feed. Never throws. */
export function writeTalk(lines: string): void {
  talk ??= createLineOutput({
    fileDescriptor: 2,
    describeGap: (lineCount) => `lines are missing here that could not be written: ${lineCount}\n`,
    onTrouble() {},
  });
  talk.write(lines);
}

/** Whether nobody can ever read what is written there: a closed pipe or socket, or a terminal that is closed. */
export function isReaderGone(fileDescriptor: number, { code }: NodeJS.ErrnoException): boolean {
  return code === 'EPIPE' || code === 'ECONNRESET' || (code === 'EIO' && TERMINALS.has(fileDescriptor));
}

/** Whether escape sequences may be written there: colours, or a bar that is drawn again and again. */
export function takesEscapes(fileDescriptor: number): boolean {
  const { TERM, NO_COLOR = '' } = process.env;
  return isatty(fileDescriptor) && TERM !== 'dumb' && NO_COLOR === '';
}

/** What a library writes by itself, a progress bar say, is talk: it must not end the process. */
export function ignoreStreamErrors(): void {
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});
}

/** @returns how many bytes were taken; undefined where the reader is gone. @throws OutputError */
function writeSome(bytes: Buffer): number | undefined {
  try {
    stdout ??= refusing(1);
    return writeSync(stdout, bytes);
  } catch (error) {
    const failure = error as NodeJS.ErrnoException;
    if (failure.code === 'EAGAIN') return 0;
    if (isReaderGone(1, failure)) return undefined;
    throw new OutputError('stdout', failure);
  }
}
