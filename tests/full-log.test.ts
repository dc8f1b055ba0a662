/** A sender whose log cannot be written sends on. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, expect, inject, test } from 'vitest';
import { PipelineUnderTest, StartedProcess } from './pipeline-under-test.ts';

const servers = inject('servers');
const full = () => openSync('/dev/full', 'w');
let pipeline: PipelineUnderTest;
let sender: StartedProcess | undefined;
afterEach(async () => {
  await sender?.stop('SIGKILL');
  await pipeline.end();
});

test.each([
  ['the disk of its log is full', full, 'pipe', /"the log on stdout cannot be written[^\n]*\n$/],
  ['the disks of stdout and stderr are full', full, full, /^$/],
  ['nobody reads its log any more', 'closed', 'pipe', /"the log on stdout cannot be written[^\n]*\n$/],
] as const)('a sender sends and drains when %s', async (_, stdout, stderr, told) => {
  pipeline = new PipelineUnderTest(servers, 'full-log', { LOG_LEVEL: 'debug' });
  const child = spawn(process.execPath, [join('scripts', 'commands', 'sender.js')], {
    cwd: join(import.meta.dirname, '..'),
    env: pipeline.environment,
    stdio: [
      'ignore',
      typeof stdout === 'string' ? 'pipe' : stdout(),
      typeof stderr === 'string' ? stderr : stderr(),
    ],
  });
  if (stdout === 'closed') child.stdout?.destroy();
  sender = new StartedProcess(child);
  await once(child, 'spawn');
  await pipeline.produce(200, 'unlogged');
  await pipeline.waitUntilDone(200);
  expect((await sender.stop()).exitCode).toBe(0);
  expect(sender.stderr.split('\n').filter((line) => line.includes('cannot be written')).length).toBeLessThan(
    2,
  );
  expect(sender.stderr).toMatch(told);
});

test('a sender logs again when there is room on the disk again, and says how many lines are missing', async () => {
  pipeline = new PipelineUnderTest(servers, 'full-log', { LOG_LEVEL: 'debug' });
  const logFile = join(servers.folder, `${pipeline.queueName}.log`);
  const log = openSync(logFile, 'a');
  // A file-size limit stands for a small disk: it is full after 6,000 bytes, in the middle of a line.
  const command = ['--fsize=6000:unlimited', process.execPath, join('scripts', 'commands', 'sender.js')];
  const child = spawn('prlimit', command, {
    cwd: join(import.meta.dirname, '..'),
    env: pipeline.environment,
    stdio: ['ignore', log, 'pipe'],
  });
  closeSync(log);
  sender = new StartedProcess(child);
  await pipeline.produce(300, 'unlogged');
  await pipeline.waitUntilDone(300);
  expect(statSync(logFile).size).toBe(6_000);
  expect(sender.stderr).toMatch(/"the log on stdout cannot be written[^\n]*\n$/);

  execFileSync('prlimit', ['--pid', String(child.pid), '--fsize=unlimited']);
  expect((await sender.stop()).exitCode).toBe(0);
  const lines = readFileSync(logFile, 'utf8').trimEnd().split('\n');
  const messages = lines.map((line) => (JSON.parse(line) as { msg: string }).msg);
  const gap = messages.findIndex((message) => message.startsWith('lines are missing here'));
  expect(JSON.parse(lines[gap] ?? '')).toMatchObject({ level: 'warn', lineCount: expect.any(Number) });
  expect(messages.slice(gap + 1)).toContain('drained');
  expect(sender.stderr.trimEnd().split('\n')).toHaveLength(1);
});

test('a sender whose log nobody reads sends on, keeps nothing of it, and drains at SIGHUP', async () => {
  pipeline = new PipelineUnderTest(servers, 'full-log', { LOG_LEVEL: 'debug' });
  const child = spawn(process.execPath, [join('scripts', 'commands', 'sender.js')], {
    cwd: join(import.meta.dirname, '..'),
    env: pipeline.environment,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  child.stdout.pause();
  sender = new StartedProcess(child);
  child.stdout.removeAllListeners('data').pause();
  await pipeline.produce(3_000, 'unread');
  await pipeline.waitUntilDone(3_000);
  const { child: same, ended } = sender;
  same.kill('SIGHUP');
  same.stdout?.destroy();
  expect((await ended).exitCode).toBe(0);
  expect(sender.stderr).toMatch(/^[^\n]*"the log on stdout cannot be written[^\n]*\n$/);
});

// Writes 5 MB a second for two seconds, and says on stderr how often it had its turn meanwhile.
const WRITER = `
  import { createLineOutput } from './dist/shared/line-output.js';
  const output = createLineOutput({ fileDescriptor: 1, describeGap: () => '', onTrouble: () => {} });
  let turns = 0;
  const ticking = setInterval(() => { turns += 1; output.write('x'.repeat(50_000) + '\\n'); }, 10);
  setTimeout(() => { clearInterval(ticking); process.stderr.write(String(turns)); }, 2_000);
`;

test.each([0, 10])('a process whose log is read %i times a second goes on', async (readsPerSecond) => {
  const child = spawn(process.execPath, ['--input-type=module', '--eval', WRITER], {
    cwd: join(import.meta.dirname, '..'),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  child.stdout.pause();
  const reading =
    readsPerSecond === 0 ? undefined : setInterval(() => child.stdout.read(), 1_000 / readsPerSecond);
  const stderr = text(child.stderr);
  await once(child, 'exit');
  clearInterval(reading);
  child.stdout.destroy();
  // Of 200 turns; a blocked process has one.
  expect(Number(await stderr)).toBeGreaterThan(60);
});
