/** The log in a file: LOG_FILE. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, afterEach, beforeAll, describe, expect, inject, test } from 'vitest';
import { PipelineUnderTest } from './kit/process/pipeline-under-test.ts';

const root = join(import.meta.dirname, '..');
const folder = mkdtempSync(join(tmpdir(), 'redial-log-file-'));
let pipeline: PipelineUnderTest | undefined;
let number = 0;

beforeAll(() => {
  execFileSync(process.execPath, [join('scripts', 'commands', 'build.js')], { cwd: root });
});
afterEach(async () => {
  await pipeline?.end();
  pipeline = undefined;
});
afterAll(() => rmSync(folder, { recursive: true }));

/** A path in a folder of its own. */
function newPath(): string {
  number += 1;
  return join(folder, String(number), 'redial.log');
}

/** The lines of all files of a log, in their order. */
function linesOf(path: string): string[] {
  const place = join(path, '..');
  return readdirSync(place)
    .filter((name) => name.startsWith('redial.log'))
    .sort((one, other) => (one === 'redial.log' ? 1 : other === 'redial.log' ? -1 : one < other ? -1 : 1))
    .flatMap((name) => readFileSync(join(place, name), 'utf8').split('\n').slice(0, -1));
}

/** @param pid of the only process that is asked for */
function messagesOf(path: string, pid?: number): string[] {
  return linesOf(path)
    .map((line) => JSON.parse(line) as { msg: string; pid: number })
    .filter((line) => pid === undefined || line.pid === pid)
    .map((line) => line.msg);
}

// Writes lines with its name and their numbers, up to 200 a millisecond.
const WRITER = `
  import { setTimeout as pause } from 'node:timers/promises';
  import { LogFile } from './dist/shared/process/log-file/log-file.js';
  const [path, name, count] = process.argv.slice(1);
  const limits = { maxBytes: 100_000, keptCount: 1_000_000 };
  const onTrouble = (error) => process.stderr.write(error.message);
  const file = new LogFile({ path, gap: {}, onTrouble, limits });
  process.on('exit', () => file.finish());
  for (let number = 0; number < Number(count); number += 1) {
    file.write(JSON.stringify({ name, number, pad: 'x'.repeat(number % 300) }) + '\\n');
    if (number % 200 === 0) await pause(1);
  }
`;

async function write(path: string, name: string, count: number): Promise<void> {
  const args = ['--input-type=module', '--eval', WRITER, path, name, String(count)];
  const child = spawn(process.execPath, args, { cwd: root, stdio: ['ignore', 'ignore', 'pipe'] });
  const stderr = text(child.stderr);
  const [exitCode] = await once(child, 'exit');
  expect([exitCode, await stderr]).toEqual([0, '']);
}

test.each([1, 4])(
  'of %i processes under load every line is in the file once, whole and in order',
  async (count) => {
    const path = newPath();
    // Together less than a process keeps while the thread does not come to write: then none may be missing.
    const lineCount = 20_000;
    const names = Array.from({ length: count }, (_, index) => `writer ${index}`);
    await Promise.all(names.map((name) => write(path, name, lineCount)));
    const lines = linesOf(path).map((line) => JSON.parse(line) as { name: string; number: number });
    for (const name of names) {
      const numbers = lines.filter((line) => line.name === name).map((line) => line.number);
      expect(numbers.length).toBe(lineCount);
      expect(numbers.every((each, index) => each === index)).toBe(true);
    }
    expect(readdirSync(join(path, '..')).length).toBeGreaterThan(20);
  },
);

// Writes 400 MB of lines without a pause, and says how many lines these were and how many MB it took.
const FLOODING = `
  import { LogFile } from './dist/shared/process/log-file/log-file.js';
  const limits = { maxBytes: 1_000_000_000, keptCount: 1 };
  const file = new LogFile({ path: process.argv[1], gap: {}, onTrouble: () => {}, limits });
  process.on('exit', () => file.finish());
  const line = JSON.stringify({ pad: 'x'.repeat(500) }) + '\\n';
  let count = 0;
  for (; count < 800_000; count += 1) file.write(line);
  process.stdout.write(count + ' ' + process.resourceUsage().maxRSS / 1_000);
`;

test('lines that come faster than the disk takes them are dropped and counted, and not kept', async () => {
  const path = newPath();
  const args = ['--input-type=module', '--eval', FLOODING, path];
  const child = spawn(process.execPath, args, { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] });
  const [count = 0, megabytes] = (await text(child.stdout)).split(' ').map(Number);
  const gaps = linesOf(path).map((line) => (JSON.parse(line) as { lineCount?: number }).lineCount ?? 0);
  const missing = gaps.reduce((sum, each) => sum + each, 0);
  expect(missing).toBeGreaterThan(0);
  expect(gaps.filter((each) => each === 0).length + missing).toBe(count);
  expect(megabytes).toBeLessThan(200);
});

const CRASHING = `
  import { createLogger } from './dist/shared/process/logger.js';
  const [file] = process.argv.slice(1);
  const log = createLogger({ name: 'sender', level: 'info', format: 'pretty', file, fileDescriptor: 1 });
  for (let number = 0; number < 1_000; number += 1) log.info({ to: '+15550100001' }, 'line ' + number);
  throw new Error('cannot send to +15550100001');
`;

test('the last lines of a process that crashes are in the file, masked, and why it crashed', async () => {
  const path = newPath();
  const args = ['--input-type=module', '--eval', CRASHING, path];
  const child = spawn(process.execPath, args, { cwd: root, stdio: 'ignore' });
  const [exitCode] = await once(child, 'exit');
  expect(exitCode).toBe(1);
  const messages = [...Array.from({ length: 1_000 }, (_, number) => `line ${number}`), 'crashed'];
  expect(messagesOf(path)).toEqual(messages);
  expect(JSON.parse(linesOf(path)[999] ?? '')).toMatchObject({ to: '+1555…0001' });
  expect(JSON.parse(linesOf(path)[1_000] ?? '')).toMatchObject({
    err: { message: 'cannot send to +1555…0001' },
  });
});

describe('a command with LOG_FILE', () => {
  const start = (
    command: 'sender' | 'monitor' | 'producer',
    args: string[],
    settings: Record<string, string>,
  ) => {
    pipeline ??= new PipelineUnderTest(inject('servers'), 'log-file');
    return pipeline.start(command, args, settings);
  };

  test('writes JSON there, from its first line to its last, whatever the console shows and whoever else writes there', async () => {
    const path = newPath();
    const settings = { LOG_FILE: path, LOG_FORMAT: 'pretty' };
    const senders = [start('sender', [], settings), start('sender', [], settings)];
    await Promise.all(senders.map((sender) => sender.says('sending')));
    const ends = await Promise.all(senders.map((sender) => sender.stop()));
    expect(ends.map(({ exitCode }) => exitCode)).toEqual([0, 0]);
    for (const sender of senders) {
      const messages = messagesOf(path, sender.pid);
      expect([messages.includes('sending'), messages.at(-1)]).toEqual([true, 'drained']);
      expect(sender.stdout).toContain('INFO: drained');
    }
  });

  test('sends on where the disk is full, and tells there how many lines are missing once there is room', async () => {
    const path = newPath();
    pipeline = new PipelineUnderTest(inject('servers'), 'log-file', { LOG_LEVEL: 'debug' });
    // A file-size limit stands for a small disk: it is full after 700 bytes, in the middle of a line.
    const args = ['--fsize=700:unlimited', process.execPath, join('scripts', 'commands', 'sender.js')];
    const sender = pipeline.run(args, { LOG_FILE: path }, { program: 'prlimit' });
    await pipeline.produce(300, 'unlogged');
    await pipeline.waitUntilDone(300);
    expect(statSync(path).size).toBeLessThanOrEqual(700);
    expect(
      sender.stdout.split('\n').filter((line) => line.includes('LOG_FILE cannot be written')).length,
    ).toBe(1);

    execFileSync('prlimit', ['--pid', String(sender.pid), '--fsize=unlimited']);
    expect((await sender.stop()).exitCode).toBe(0);
    const lines = linesOf(path).map((line) => JSON.parse(line) as { msg: string; lineCount?: number });
    // A line that tells of a gap may still fit where the lines after it do not: then there is another gap.
    const gaps = lines.filter(({ msg }) => msg.startsWith('lines are missing here'));
    expect(gaps[0]).toMatchObject({ level: 'warn', name: 'sender', lineCount: expect.any(Number) });
    expect(lines.at(-1)?.msg).toBe('drained');
    const missing = gaps.reduce((sum, { lineCount = 0 }) => sum + lineCount, 0);
    // The console also tells, once, that the file cannot be written.
    expect(lines.length - gaps.length + missing).toBe(sender.stdout.trimEnd().split('\n').length - 1);
  });

  test('tells there why it failed, also where its stdout carries data', async () => {
    const path = newPath();
    const url = new URL(inject('servers').rabbitmqUrl);
    url.password = 'wrong';
    const settings = { LOG_FILE: path, RABBITMQ_URL: url.href };
    const ended = await start('producer', ['--num-messages', '1', '--json'], settings).ended;
    expect([ended.exitCode, ended.stdout]).toEqual([69, '']);
    expect(JSON.parse(linesOf(path).at(-1) ?? '')).toMatchObject({
      ...{ level: 'error', name: 'producer', msg: 'ended' },
      err: { message: expect.stringContaining('RabbitMQ') },
    });
  });

  test.each([
    [
      'a folder',
      (path: string) => mkdirSync(path, { recursive: true }),
      /^Invalid configuration:\n {2}- LOG_FILE cannot be written: it is a folder\n$/,
    ],
    [
      'a pipe',
      (path: string) => {
        mkdirSync(join(path, '..'));
        execFileSync('mkfifo', [path]);
      },
      /^Invalid configuration:\n {2}- LOG_FILE cannot be written: not a file, but a pipe or a device\n$/,
    ],
    [
      'in a folder that cannot be made',
      (path: string) => writeFileSync(join(path, '..'), ''),
      /^Invalid configuration:\n {2}- LOG_FILE cannot be written: E[A-Z]+: [^\n]+\n$/,
    ],
  ])('does not start where it is %s', async (_, make, told) => {
    const path = newPath();
    make(path);
    const { exitCode, stderr } = await start('sender', [], { LOG_FILE: path }).ended;
    expect([exitCode, stderr]).toEqual([78, expect.stringMatching(told)]);
  });
});
