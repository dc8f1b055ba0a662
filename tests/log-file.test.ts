/** The log in a file: LOG_FILE. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
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

const messagesOf = (path: string) => linesOf(path).map((line) => (JSON.parse(line) as { msg: string }).msg);

// Writes lines with its name and their numbers, up to 200 a millisecond.
const WRITER = `
  import { setTimeout as pause } from 'node:timers/promises';
  import { LogFile } from './dist/shared/process/log-file/log-file.js';
  const [path, name, count] = process.argv.slice(1);
  const limits = { maxBytes: 200_000, keptCount: 1_000_000 };
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
    const lineCount = 40_000;
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

describe('a command with LOG_FILE', () => {
  const start = (
    command: 'sender' | 'monitor' | 'producer',
    args: string[],
    settings: Record<string, string>,
  ) => {
    pipeline ??= new PipelineUnderTest(inject('servers'), 'log-file');
    return pipeline.start(command, args, settings);
  };

  test('writes JSON there, from its first line to its last, whatever the console shows', async () => {
    const path = newPath();
    const sender = start('sender', [], { LOG_FILE: path, LOG_FORMAT: 'pretty' });
    await sender.says('sending');
    expect((await sender.stop()).exitCode).toBe(0);
    const messages = messagesOf(path);
    expect([messages.includes('sending'), messages.at(-1)]).toEqual([true, 'drained']);
    expect(sender.stdout).toContain('INFO: drained');
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
      /^Invalid configuration:\n {2}- LOG_FILE cannot be written: EISDIR: [^\n]+\n$/,
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
