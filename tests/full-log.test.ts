/** A sender whose log cannot be written sends on. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, expect, inject, test } from 'vitest';
import { drain, fill, openPipe } from './kit/process/full-pipe.ts';
import { PipelineUnderTest } from './kit/process/pipeline-under-test.ts';
import type { RunningProcess } from './kit/process/running-process.ts';
import { chosen, isThorough } from './kit/process/thorough.ts';

const servers = inject('servers');
const SENDER = join('scripts', 'commands', 'sender.js');
const full = () => openSync('/dev/full', 'w');
let pipeline: PipelineUnderTest;
let sender: RunningProcess | undefined;
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
  const out = typeof stdout === 'string' ? 'pipe' : stdout();
  sender = pipeline.start(
    'sender',
    [],
    {},
    { stdio: ['ignore', out, typeof stderr === 'string' ? stderr : stderr()] },
  );
  if (stdout === 'closed') sender.child.stdout?.destroy();
  await once(sender.child, 'spawn');
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
  // A file-size limit stands for a small disk: it is full after 700 bytes, in the middle of a line.
  const args = ['--fsize=700:unlimited', process.execPath, SENDER];
  sender = pipeline.run(args, {}, { program: 'prlimit', stdio: ['ignore', log, 'pipe'] });
  closeSync(log);
  await pipeline.produce(300, 'unlogged');
  await pipeline.waitUntilDone(300);
  expect(statSync(logFile).size).toBe(700);
  expect(sender.stderr).toMatch(/"the log on stdout cannot be written[^\n]*\n$/);

  execFileSync('prlimit', ['--pid', String(sender.pid), '--fsize=unlimited']);
  expect((await sender.stop()).exitCode).toBe(0);
  const lines = readFileSync(logFile, 'utf8').trimEnd().split('\n');
  const messages = lines.map((line) => (JSON.parse(line) as { msg: string }).msg);
  const gap = messages.findIndex((message) => message.startsWith('lines are missing here'));
  expect(JSON.parse(lines[gap] ?? '')).toMatchObject({ level: 'warn', lineCount: expect.any(Number) });
  expect(messages.slice(gap + 1)).toContain('drained');
  expect(sender.stderr.trimEnd().split('\n')).toHaveLength(1);
});

test('a sender sends while its log is not read, logs again once it is, and drains at SIGHUP', async () => {
  pipeline = new PipelineUnderTest(servers, 'full-log', { LOG_LEVEL: 'debug' });
  const { reader, writer } = openPipe(servers.folder);
  fill(writer);
  sender = pipeline.start('sender', [], {}, { stdio: ['ignore', writer, 'pipe'] });
  closeSync(writer);
  await pipeline.produce(300, 'unread');
  await pipeline.waitUntilDone(300);
  expect(sender.stderr).toMatch(/^[^\n]*"the log on stdout cannot be written[^\n]*\n$/);

  expect(drain(reader)).toMatch(/^\.+$/);
  sender.signal('SIGHUP');
  expect((await sender.ended).exitCode).toBe(0);
  const messages = drain(reader)
    .trimEnd()
    .split('\n')
    .map((line) => (JSON.parse(line) as { msg: string }).msg);
  expect(messages[0]).toContain('lines are missing here');
  expect(messages.at(-1)).toBe('drained');
  closeSync(reader);
});

test.runIf(isThorough)('a sender on a terminal that Ctrl-S has stopped sends on, and drains', async () => {
  pipeline = new PipelineUnderTest(servers, 'full-log', { LOG_FORMAT: 'pretty' });
  const args = ['-qefc', `exec '${process.execPath}' ${SENDER}`, '/dev/null'];
  sender = pipeline.run(args, { TERM: 'xterm' }, { program: 'script', stdio: 'pipe' });
  await sender.says('sending');
  const [pid = 0] = readFileSync(`/proc/${sender.pid}/task/${sender.pid}/children`, 'utf8')
    .split(' ')
    .map(Number);
  sender.child.stdin?.write('\u0013');
  // What it says then, that it drains, is never shown.
  process.kill(pid, 'SIGTERM');
  expect((await sender.ended).exitCode).toBe(0);
});

// Writes 100 MB a second for two seconds, and says on stderr how often it had its turn and how many MB it took.
const WRITER = `
  import { LineOutput } from './dist/shared/process/line-output.js';
  const output = new LineOutput({ fileDescriptor: 1, describeGap: () => '', onTrouble: () => {} });
  let turns = 0;
  const ticking = setInterval(() => { turns += 1; output.write('x'.repeat(1_000_000) + '\\n'); }, 10);
  setTimeout(() => { clearInterval(ticking); process.stderr.write(turns + ' ' + process.resourceUsage().maxRSS / 1_000); }, 2_000);
`;

test.each(chosen([0], [10]))(
  'a process whose log is read %i times a second goes on and keeps nothing of it',
  async (readsPerSecond) => {
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
    const [turns, megabytes] = (await stderr).split(' ').map(Number);
    // Of 200 turns; a blocked process has one.
    expect(turns).toBeGreaterThan(60);
    // Of 200 MB and more; Node.js itself takes 50.
    expect(megabytes).toBeLessThan(150);
  },
);
