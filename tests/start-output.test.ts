/** `npm start` ends in order, whatever becomes of its output. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, openSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, expect, inject, test } from 'vitest';
import { waitFor } from './faults/wait-for.ts';
import { PipelineUnderTest, StartedProcess } from './pipeline-under-test.ts';
import { chosen, isThorough } from './thorough.ts';

const project = join(import.meta.dirname, '..');
const servers = inject('servers');
// A checkout of our own: in one checkout npm start runs once at a time.
const checkout = mkdtempSync(join(tmpdir(), 'redial-start-'));
const serversFile = join(checkout, '.redial', 'servers.env');
let pipeline: PipelineUnderTest;
let start: StartedProcess | undefined;

beforeAll(() => {
  execFileSync(process.execPath, [join(project, 'scripts/commands/build.js')], { stdio: 'pipe' });
  for (const part of ['dist', 'scripts', 'package.json', 'package-lock.json'])
    cpSync(join(project, part), join(checkout, part), { recursive: true });
  symlinkSync(join(project, 'node_modules'), join(checkout, 'node_modules'));
});
beforeEach(() => {
  pipeline = new PipelineUnderTest(servers, 'start');
});
afterEach(async () => {
  await start?.stop('SIGKILL');
  await pipeline.end();
});
afterAll(() => rmSync(checkout, { recursive: true }));

/** `npm start -- --keep`, as npm runs it. */
function startKept(run: (command: string, args: readonly string[]) => ChildProcess): StartedProcess {
  const args = ['scripts/start.js', '--keep', '--num-messages', '20', '--senders', '1'];
  start = new StartedProcess(run(process.execPath, args));
  return start;
}

const options = () => ({ cwd: checkout, env: { ...pipeline.environment, TERM: 'xterm' } });

/** The processes of this checkout that run: npm start, its sender and its monitor. */
function running(): string[] {
  const listed = execFileSync('ps', ['-eo', 'pid,args'], { encoding: 'utf8' });
  return listed.split('\n').filter((line) => line.includes(`${checkout}/dist`));
}

async function waitUntilNothingIsLeft(): Promise<void> {
  await waitFor(
    'everything to be stopped',
    () => !existsSync(serversFile) && running().length === 0,
    30_000,
    () => running().join('\n'),
  );
}

const piped = (more: readonly string[] = []) =>
  startKept((command, args) =>
    spawn(command, [...args, ...more], { ...options(), stdio: ['ignore', 'pipe', 'pipe'] }),
  );

test.each(chosen<NodeJS.Signals>([], ['SIGINT', 'SIGTERM', 'SIGHUP']))(
  '%s ends what was to be kept in order, after the reader of its output is gone',
  async (signal) => {
    const started = piped();
    await waitFor('it to be kept running', () => started.stderr.includes('Everything keeps running'));
    started.child.stdout?.destroy();
    started.child.stderr?.destroy();
    started.child.kill(signal);
    expect((await started.ended).exitCode).toBe(0);
    await waitUntilNothingIsLeft();
  },
);

test.each(
  chosen<[NodeJS.Signals, number]>(
    [['SIGTERM', 143]],
    [
      ['SIGINT', 130],
      ['SIGHUP', 129],
    ],
  ),
)('%s ends a run in order, after the reader of its output is gone', async (signal, exitCode) => {
  const started = piped(['--num-messages', '200000']);
  await waitFor('SMS to be sent', () => started.stderr.includes('done, sent'));
  started.child.stdout?.destroy();
  started.child.stderr?.destroy();
  started.child.kill(signal);
  expect((await started.ended).exitCode).toBe(exitCode);
  await waitUntilNothingIsLeft();
});

test('a Ctrl-C that ends `tee` too, and that npm hands on once more, ends it in order', async () => {
  const started = piped();
  await waitFor('it to be kept running', () => started.stderr.includes('Everything keeps running'));
  started.child.stdout?.destroy();
  started.child.kill('SIGINT');
  // A signal that comes before the first one was taken would be one with it.
  await sleep(20);
  started.child.kill('SIGINT');
  expect((await started.ended).exitCode).toBe(0);
  await waitUntilNothingIsLeft();
});

test.runIf(isThorough)('a SIGTERM to npm ends it in order', async () => {
  const started = startKept((_, [, ...args]) =>
    spawn('npm', ['start', '--', ...args], { ...options(), stdio: ['ignore', 'pipe', 'pipe'] }),
  );
  await waitFor('it to be kept running', () => started.stderr.includes('Everything keeps running'));
  expect((await started.stop('SIGTERM')).exitCode).toBe(0);
  await waitUntilNothingIsLeft();
});

test('a terminal that is closed ends it in order', async () => {
  const started = startKept((command, args) =>
    spawn('script', ['-qfc', `exec '${command}' ${args.join(' ')}`, '/dev/null'], {
      ...options(),
      stdio: ['pipe', 'pipe', 'pipe'],
    }),
  );
  await waitFor('it to be kept running', () => started.stdout.includes('Everything keeps running'));
  await started.stop('SIGKILL');
  await waitUntilNothingIsLeft();
});

test.runIf(isThorough)(
  'a full disk under its stdout makes it fail in a sentence, after everything is stopped',
  async () => {
    const started = startKept((command, args) =>
      spawn(command, args, { ...options(), stdio: ['ignore', openSync('/dev/full', 'w'), 'pipe'] }),
    );
    const { exitCode, stderr } = await started.ended;
    expect([exitCode, stderr]).toEqual([
      1,
      expect.stringContaining('\ncannot write to stdout: no space left on device\n'),
    ]);
    await waitUntilNothingIsLeft();
  },
);

test.each(
  chosen<[string, Record<string, string>]>(
    [],
    [
      ['TERM=dumb', { TERM: 'dumb' }],
      ['NO_COLOR=1', { TERM: 'xterm', NO_COLOR: '1' }],
    ],
  ),
)('on a terminal with %s it draws nothing', async (_, settings) => {
  const started = startKept((command, args) =>
    spawn('script', ['-qfc', `exec '${command}' ${args.join(' ')}`, '/dev/null'], {
      cwd: checkout,
      env: { ...pipeline.environment, ...settings },
      stdio: ['pipe', 'pipe', 'pipe'],
    }),
  );
  await waitFor('it to be kept running', () => started.stdout.includes('Everything keeps running'));
  expect(started.stdout).not.toContain('\u001b');
  await started.stop('SIGKILL');
  await waitUntilNothingIsLeft();
});

test.runIf(isThorough)(
  'reset asks on a terminal with TERM=dumb without drawing, and takes its end for a no',
  async () => {
    const child = spawn('script', ['-qefc', `exec '${process.execPath}' scripts/reset.js`, '/dev/null'], {
      cwd: checkout,
      env: { ...pipeline.environment, TERM: 'dumb' },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    const reset = new StartedProcess(child);
    start = reset;
    await waitFor('the question', () => reset.stdout.includes('[y/N]'));
    child.stdin.write('\u0004');
    const { exitCode, stdout } = await reset.ended;
    expect([exitCode, stdout]).toEqual([0, expect.stringContaining('Nothing was forgotten')]);
    expect(stdout).not.toContain('\u001b');
  },
);
