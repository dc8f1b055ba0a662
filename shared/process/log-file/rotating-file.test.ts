import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, expect, test } from 'vitest';
import { RotatingFile, type RotatingFileOptions } from './rotating-file.ts';

const root = mkdtempSync(join(tmpdir(), 'redial-rotating-'));
afterAll(() => rmSync(root, { recursive: true }));
const NOON_MS = Date.UTC(2026, 10, 22, 12);

let folder = root;
let path = '';
let nowMs = NOON_MS;
let number = 0;
beforeEach(() => {
  number += 1;
  folder = join(root, String(number));
  path = join(folder, 'redial.log');
  nowMs = NOON_MS;
});

function open(more: Partial<RotatingFileOptions> = {}): RotatingFile {
  return new RotatingFile({
    ...{ path, maxBytes: 100, keptCount: 1_000, nowMs: () => nowMs },
    describeGap: (lineCount) => `${lineCount} missing\n`,
    ...more,
  });
}

/** All files, those that were put aside first. */
function files(): string[] {
  const aside = readdirSync(folder).filter((name) => name !== 'redial.log');
  return [...aside.sort(), 'redial.log'].map((name) => readFileSync(join(folder, name), 'utf8'));
}

const lineOf = (index: number) => `line ${index} ${'x'.repeat(index % 37)}\n`;

test('each line is there once, whole and in order, over many files of which none is larger than it may be', () => {
  const file = open();
  for (let index = 0; index < 500; index += 5) {
    expect(file.append([0, 1, 2, 3, 4].map((step) => lineOf(index + step)).join(''))).toBeUndefined();
  }
  expect(files().join('')).toBe(Array.from({ length: 500 }, (_, index) => lineOf(index)).join(''));
  expect(files().length).toBeGreaterThan(100);
  for (const text of files()) expect(text.length).toBeLessThanOrEqual(100);
});

test('lines of several processes are there once and whole, whoever puts the file aside', () => {
  const writers = [open(), open(), open()];
  for (let index = 0; index < 600; index += 1) {
    nowMs += 1;
    writers[index % 3]?.append(lineOf(index));
  }
  expect(files().join('')).toBe(Array.from({ length: 600 }, (_, index) => lineOf(index)).join(''));
});

test('while another process puts the file aside lines go on into it, and a lock that a dead one left is removed', () => {
  const file = open();
  const long = `${'x'.repeat(90)}\n`;
  file.append(long);
  const lock = `${path}.rotating`;
  writeFileSync(lock, '');
  file.append(long);
  const longAgo = Date.now() / 1_000 - 60;
  utimesSync(lock, longAgo, longAgo);
  for (const line of ['two\n', 'three\n']) file.append(line);
  expect(existsSync(lock)).toBe(false);
  expect(files()).toEqual([`${long}${long}two\n`, 'three\n']);
});

test('a line that is longer than a file may be is written all the same', () => {
  const file = open();
  const long = `${'x'.repeat(300)}\n`;
  for (const line of ['a\n', long, 'b\n']) {
    nowMs += 1;
    file.append(line);
  }
  expect(files()).toEqual(['a\n', long, 'b\n']);
});

test('the oldest files that were put aside are deleted, and nothing else in the folder', () => {
  mkdirSync(folder);
  const others = ['redial.log.1', 'redial.log.old', 'redial.logs.20261122T120000.001Z.a', 'notes'];
  for (const name of others) writeFileSync(join(folder, name), '');
  const file = open({ keptCount: 3 });
  for (let index = 0; index < 20; index += 1) {
    nowMs += 1;
    file.append(`${index} ${'x'.repeat(90)}\n`);
  }
  const kept = readdirSync(folder).filter((name) => !others.includes(name) && name !== 'redial.log');
  expect(kept.sort().map((name) => readFileSync(join(folder, name), 'utf8').slice(0, 2))).toEqual([
    '16',
    '17',
    '18',
  ]);
  expect(readdirSync(folder)).toEqual(expect.arrayContaining(others));
});

test('a new day begins a new file, in a process that goes on and in one that starts', () => {
  const file = open();
  file.append('monday\n');
  nowMs += 86_400_000;
  file.append('tuesday\n');
  file.append('tuesday, later\n');
  expect(files()).toEqual(['monday\n', 'tuesday\ntuesday, later\n']);
  utimesSync(path, nowMs / 1_000, nowMs / 1_000);
  nowMs += 86_400_000;
  open().append('wednesday\n');
  expect(files()).toEqual(['monday\n', 'tuesday\ntuesday, later\n', 'wednesday\n']);
});

test('a file that was moved away gets nothing more, and a folder that was deleted is made again', () => {
  const file = open();
  file.append('one\n');
  renameSync(path, `${path}.1`);
  file.append('two\n');
  expect([readFileSync(`${path}.1`, 'utf8'), readFileSync(path, 'utf8')]).toEqual(['one\n', 'two\n']);
  rmSync(folder, { recursive: true });
  file.append('three\n');
  expect(readFileSync(path, 'utf8')).toBe('three\n');
});

test('a part of a line that a killed process left does not spoil the next line', () => {
  const file = open();
  file.append('one\n');
  appendFileSync(path, '{"level":"in');
  file.append('two\n');
  open().append('three\n');
  expect(readFileSync(path, 'utf8')).toBe('one\n{"level":"in\ntwo\nthree\n');
});

test('where the file cannot be written, lines are counted and told once it can', () => {
  const file = open();
  file.append('one\n');
  rmSync(folder, { recursive: true });
  writeFileSync(folder, 'in the way');
  // Node.js 20 says the former, 22 and 24 the latter.
  expect(file.append('two\nthree\n')).toMatchObject({ code: expect.stringMatching(/^(ENOTDIR|EEXIST)$/) });
  expect(file.append('four\n', 10)).toMatchObject({ code: expect.any(String) });
  rmSync(folder);
  expect(file.append('five\n')).toBeUndefined();
  expect(readFileSync(path, 'utf8')).toBe('13 missing\nfive\n');
});

test('a file is for its owner and its group alone, and an existing one keeps its permissions', () => {
  open().append('one\n');
  expect(statSync(path).mode & 0o777).toBe(0o640);
  chmodSync(path, 0o600);
  open().append('two\n');
  expect(statSync(path).mode & 0o777).toBe(0o600);
});
