/**
 * What commands write. There are three kinds of output, which differ in what happens where they cannot be written:
 *
 * - Data, on stdout, is written in full, or the command fails. A reader that is gone has seen enough: that is no failure.
 * - Talk, on stderr, is dropped.
 * - The log of a service is dropped and counted, and the count is told (line-output.ts).
 *
 * Output is written by writeSync and not through process.stdout. A stream keeps in memory what its reader does not take, keeps
 * the process alive until the reader takes it, even after a signal, and tells an error when the command has gone on already.
 */
import { writeSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { isatty } from 'node:tty';

import { printableLines } from '../domain/printable.ts';
import { OutputError } from '../errors.ts';
import { LineOutput, refusing, sleep } from './line-output.ts';

const FIRST_PAUSE_MS = 1;
const LONGEST_PAUSE_MS = 50;
// Asked at the start, because a terminal that was closed does not count as one any more.
const TERMINALS: ReadonlySet<number> = new Set([1, 2].filter((fileDescriptor) => isatty(fileDescriptor)));

/**
 * Writes data to stdout, and waits for a slow reader until the signal aborts.
 * @returns false where the reader is gone, or had not taken all of the data when the signal aborted
 * @throws OutputError where the data cannot be written, because the disk is full
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
 * Writes data to stdout in one go. The process stands still meanwhile, so it must not catch signals yet.
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

/** Tells people something on stderr. Lines that cannot be written are dropped. Never throws. */
export function say(text: string): void {
  writeTalk(`${printableLines(text)}\n`);
}

/** Writes lines to stderr as they are; each must end with a line feed. Never throws. */
export function writeTalk(lines: string): void {
  talk ??= new LineOutput({
    fileDescriptor: 2,
    describeGap: (lineCount) => `lines are missing here that could not be written: ${lineCount}\n`,
    onTrouble() {},
  });
  talk.write(lines);
}

/** True where the output was a terminal at the start. */
export function isTerminal(fileDescriptor: number): boolean {
  return TERMINALS.has(fileDescriptor);
}

/** True where the error says that nobody reads this output any more: a closed pipe, socket or terminal. */
export function isReaderGone(fileDescriptor: number, { code }: NodeJS.ErrnoException): boolean {
  return code === 'EPIPE' || code === 'ECONNRESET' || (code === 'EIO' && isTerminal(fileDescriptor));
}

/** True where escape sequences may be written: colours, or a progress bar that is drawn again and again. */
export function takesEscapes(fileDescriptor: number): boolean {
  const { NO_COLOR = '' } = process.env;
  return takesPictures(fileDescriptor) && NO_COLOR === '';
}

/** True where the cursor can be moved: a picture without colours is one, too. */
export function takesPictures(fileDescriptor: number): boolean {
  return isatty(fileDescriptor) && process.env.TERM !== 'dumb';
}

/** What a library writes by itself, such as a progress bar, is talk: its errors must not end the process. */
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
