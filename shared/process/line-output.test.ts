import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, constants, mkdtempSync, openSync, readFileSync, readSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { LineOutput } from './line-output.ts';

const folder = mkdtempSync(join(tmpdir(), 'redial-output-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** Both ends of a pipe that takes 64 KiB and then says EAGAIN. */
function openPipe(name: string): { readonly reader: number; readonly writer: number } {
  const path = join(folder, name);
  execFileSync('mkfifo', [path]);
  const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  return { reader, writer: openSync(path, constants.O_WRONLY | constants.O_NONBLOCK) };
}

function drain(reader: number): string {
  const bytes = Buffer.alloc(1_000_000);
  return bytes.subarray(0, readSync(reader, bytes)).toString('utf8');
}

/** An output whose troubles are gathered. */
function outputOn(fileDescriptor: number) {
  const troubles: string[] = [];
  const output = new LineOutput({
    fileDescriptor,
    describeGap: (lineCount) => `${lineCount} lines are missing\n`,
    onTrouble: (error) => troubles.push(String(error.code)),
  });
  return { output, troubles };
}

test('lines are there when write returns', () => {
  const path = join(folder, 'plain');
  const { output, troubles } = outputOn(openSync(path, 'w'));
  output.write('one\n');
  output.write('two\n');
  expect([readFileSync(path, 'utf8'), troubles]).toEqual(['one\ntwo\n', []]);
});

test('on a full disk lines are dropped, which is told once', () => {
  const { output, troubles } = outputOn(openSync('/dev/full', 'w'));
  for (let number = 1; number <= 10; number += 1) output.write(`${number}\n`);
  expect(troubles).toEqual(['ENOSPC']);
});

test('when nobody reads any more, lines are dropped, which is told once', () => {
  const { reader, writer } = openPipe('closed');
  closeSync(reader);
  const { output, troubles } = outputOn(writer);
  output.write('one\n');
  output.write('two\n');
  expect(troubles).toEqual(['EPIPE']);
});

test('when there is room again, it says how many lines are missing and goes on, and no line is torn', () => {
  const { reader, writer } = openPipe('full');
  const { output, troubles } = outputOn(writer);
  // A pipe takes a part of a line that is longer than a page.
  const line = `${'x'.repeat(9_999)}\n`;
  for (let count = 1; count <= 10; count += 1) output.write(line);
  expect(troubles).toEqual(['EAGAIN']);
  const before = drain(reader);
  output.write('again\n');
  const all = before + drain(reader);
  const wholeLines = all.split(line).length - 1;
  expect(all).toBe(`${line.repeat(wholeLines)}${10 - wholeLines} lines are missing\nagain\n`);
  expect(wholeLines).toBeGreaterThan(5);

  // The next trouble is told again.
  for (let count = 1; count <= 10; count += 1) output.write(line);
  expect(troubles).toEqual(['EAGAIN', 'EAGAIN']);
});

test('a reader that only falls behind misses nothing', async () => {
  const { reader, writer } = openPipe('slow');
  const copy = join(folder, 'copy');
  const cat = spawn('cat', [join(folder, 'slow')], { stdio: ['ignore', openSync(copy, 'w'), 'inherit'] });
  const { output, troubles } = outputOn(writer);
  const line = `${'x'.repeat(9_999)}\n`;
  for (let count = 1; count <= 100; count += 1) output.write(line);
  for (const end of [writer, reader]) closeSync(end);
  await once(cat, 'exit');
  expect([readFileSync(copy, 'utf8') === line.repeat(100), troubles]).toEqual([true, []]);
});
