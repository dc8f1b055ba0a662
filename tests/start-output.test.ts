/** `npm start` ends in order, whatever becomes of its output. */
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, openSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, expect, inject, test } from 'vitest';
import { PipelineUnderTest } from './kit/process/pipeline-under-test.ts';
import { type ProcessRecipe, RunningProcess } from './kit/process/running-process.ts';
import { chosen, isThorough } from './kit/process/thorough.ts';
import { waitFor } from './kit/wait-for.ts';

const project = join(import.meta.dirname, '..');
const servers = inject('servers');
// A checkout of our own: in one checkout npm start runs once at a time.
const checkout = mkdtempSync(join(tmpdir(), 'redial-start-'));
const serversFile = join(checkout, '.redial', 'servers.env');
let pipeline: PipelineUnderTest;
let start: RunningProcess | undefined;

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

const GUIDED_RUN = ['scripts/run.js', 'scripts/guided/guided-run'];
const KEPT = ['--keep', '--num-messages', '20', '--senders', '1'];

/** Starts something in the checkout, with a terminal that can draw. */
function startHere(recipe: Partial<ProcessRecipe>, settings: Record<string, string> = {}): RunningProcess {
  const environment = { ...pipeline.environment, TERM: 'xterm', ...settings };
  start = new RunningProcess({ args: [...GUIDED_RUN, ...KEPT], folder: checkout, environment, ...recipe });
  return start;
}

/** `npm start` on a terminal. */
function onTerminal(args: readonly string[], settings: Record<string, string> = {}): RunningProcess {
  const terminal = ['-qefc', `exec '${process.execPath}' ${args.join(' ')}`, '/dev/null'];
  return startHere({ program: 'script', args: terminal, stdio: 'pipe' }, settings);
}

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

const piped = (more: readonly string[] = []) => startHere({ args: [...GUIDED_RUN, ...KEPT, ...more] });

test.each(chosen<NodeJS.Signals>([], ['SIGINT', 'SIGTERM', 'SIGHUP']))(
  '%s ends what was to be kept in order, after the reader of its output is gone',
  async (signal) => {
    const started = piped();
    await started.says('Everything keeps running');
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
  await started.says('done, sent');
  started.child.stdout?.destroy();
  started.child.stderr?.destroy();
  started.child.kill(signal);
  expect((await started.ended).exitCode).toBe(exitCode);
  await waitUntilNothingIsLeft();
});

test('a Ctrl-C that ends `tee` too, and that npm hands on once more, ends it in order', async () => {
  const started = piped();
  await started.says('Everything keeps running');
  started.child.stdout?.destroy();
  started.child.kill('SIGINT');
  // A signal that comes before the first one was taken would be one with it.
  await sleep(20);
  started.child.kill('SIGINT');
  expect((await started.ended).exitCode).toBe(0);
  await waitUntilNothingIsLeft();
});

test.runIf(isThorough)('a SIGTERM to npm ends it in order', async () => {
  const started = startHere({ program: 'npm', args: ['start', '--', ...KEPT] });
  await started.says('Everything keeps running');
  expect((await started.stop('SIGTERM')).exitCode).toBe(0);
  await waitUntilNothingIsLeft();
});

test('a terminal that is closed ends it in order', async () => {
  const started = onTerminal([...GUIDED_RUN, ...KEPT]);
  await started.says('Everything keeps running');
  await started.stop('SIGKILL');
  await waitUntilNothingIsLeft();
});

test.runIf(isThorough)(
  'a full disk under its stdout makes it fail in a sentence, after everything is stopped',
  async () => {
    const started = startHere({ stdio: ['ignore', openSync('/dev/full', 'w'), 'pipe'] });
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
  const started = onTerminal([...GUIDED_RUN, ...KEPT], settings);
  await started.says('Everything keeps running');
  expect(started.stdout).not.toContain('\u001b');
  await started.stop('SIGKILL');
  await waitUntilNothingIsLeft();
});

test.runIf(isThorough)(
  'reset asks on a terminal with TERM=dumb without drawing, and takes its end for a no',
  async () => {
    const reset = onTerminal(['scripts/run.js', 'scripts/reset/reset'], { TERM: 'dumb' });
    await reset.says('[y/N]');
    reset.child.stdin?.write('\u0004');
    const { exitCode, stdout } = await reset.ended;
    expect([exitCode, stdout]).toEqual([0, expect.stringContaining('Nothing was forgotten')]);
    expect(stdout).not.toContain('\u001b');
  },
);
