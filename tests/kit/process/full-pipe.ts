/** A pipe of which a test holds both ends, to let it be full, read late, or read no more. */
import { execFileSync } from 'node:child_process';
import { constants, openSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';

let pipeCount = 0;

/** @returns its file descriptors */
export function openPipe(folder: string): { readonly reader: number; readonly writer: number } {
  pipeCount += 1;
  const path = join(folder, `pipe-${process.pid}-${pipeCount}`);
  execFileSync('mkfifo', [path]);
  const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  return { reader, writer: openSync(path, constants.O_WRONLY | constants.O_NONBLOCK) };
}

/** Fills the pipe with dots until it takes nothing more. */
export function fill(writer: number): void {
  for (const size of [65_536, 4_096, 1]) {
    try {
      for (;;) writeSync(writer, Buffer.alloc(size, '.'));
    } catch {
      // EAGAIN: what is smaller may still fit.
    }
  }
}

/** All that lies in the pipe. */
export function drain(reader: number): string {
  let text = '';
  const bytes = Buffer.alloc(65_536);
  try {
    for (let count = readSync(reader, bytes); count > 0; count = readSync(reader, bytes))
      text += bytes.toString('latin1', 0, count);
  } catch {
    // EAGAIN: it is empty.
  }
  return text;
}
