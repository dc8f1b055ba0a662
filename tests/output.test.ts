/** Every command with output that cannot be written: a full disk, a reader that is gone, one that does not read. */
import { execFileSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, inject, test } from 'vitest';
import { drain, fill, openPipe } from './kit/process/full-pipe.ts';
import { PipelineUnderTest } from './kit/process/pipeline-under-test.ts';
import type { RunningProcess } from './kit/process/running-process.ts';
import { chosen } from './kit/process/thorough.ts';
import { waitFor } from './kit/wait-for.ts';

const folder = mkdtempSync(join(tmpdir(), 'redial-output-'));
const pipeline = new PipelineUnderTest(inject('servers'), 'output', { LOG_LEVEL: 'info' });

/** Where a stream of a command goes. */
type Stream = 'full disk' | 'closed pipe' | 'slow reader' | 'read';

const COMMANDS = {
  producer: ['producer', '--num-messages', '20'],
  'producer --json': ['producer', '--num-messages', '20', '--json'],
  'producer requeue-overdue': ['producer', 'requeue-overdue'],
  'producer requeue-overdue --json': ['producer', 'requeue-overdue', '--json'],
  'producer --help': ['producer', '--help'],
  'sender --help': ['sender', '--help'],
  'monitor --help': ['monitor', '--help'],
  'monitor --once': ['monitor', '--once'],
  'monitor --once --json': ['monitor', '--once', '--json'],
  'monitor --audit': ['monitor', '--audit'],
  'monitor --audit --json': ['monitor', '--audit', '--json'],
  'monitor --json': ['monitor', '--json', '--update-interval', '0.2'],
  'monitor as a table': ['monitor', '--update-interval', '0.2'],
  'monitor as a log': ['monitor', '--update-interval', '0.2'],
  'npm start -- --help': ['../run', 'scripts/guided/guided-run', '--help'],
  'npm run reset -- --help': ['../run', 'scripts/reset/reset', '--help'],
  'npm run bench -- --help': ['../run', 'bench/main', '--help'],
} as const;
type CommandName = keyof typeof COMMANDS;

const started: RunningProcess[] = [];
const openFiles: number[] = [];

// The first call builds; counters and queues must be there for the monitor to tell of.
beforeAll(async () => {
  const sender = await pipeline.startSender();
  await pipeline.produce(20, 'before');
  await pipeline.waitUntilDone(20);
  await sender.stop();
});
afterEach(async () => {
  await Promise.all(started.splice(0).map((each) => each.stop('SIGKILL')));
  for (const file of openFiles.splice(0)) closeSync(file);
});
afterAll(async () => {
  await pipeline.end();
  rmSync(folder, { recursive: true });
});

interface Ran {
  readonly process: RunningProcess;
  /** The end of the pipe that a slow reader of stdout holds. */
  readonly reader: number | undefined;
}

function openStream(stream: Stream): { readonly stdio: number | 'pipe'; readonly reader?: number } {
  if (stream === 'read') return { stdio: 'pipe' };
  if (stream === 'full disk') {
    const full = openSync('/dev/full', 'w');
    openFiles.push(full);
    return { stdio: full };
  }
  const { reader, writer } = openPipe(folder);
  openFiles.push(writer);
  if (stream === 'closed pipe') {
    closeSync(reader);
    return { stdio: writer };
  }
  fill(writer);
  openFiles.push(reader);
  return { stdio: writer, reader };
}

function run(name: CommandName, stdout: Stream, stderr: Stream): Ran {
  const [command, ...args] = COMMANDS[name];
  const [out, err] = [openStream(stdout), openStream(stderr)];
  const file = join('scripts', 'commands', `${command}.js`);
  const stdio = ['ignore' as const, out.stdio, err.stdio];
  const ran = pipeline.run([file, ...args], settingsOf(name), { stdio });
  started.push(ran);
  return { process: ran, reader: out.reader };
}

function settingsOf(name: CommandName): Record<string, string> {
  if (name === 'monitor as a table') return { LOG_FORMAT: 'pretty' };
  // Apart from what the monitor audits.
  return name.startsWith('producer') ? { QUEUE_NAME: `${pipeline.queueName}-produced` } : {};
}

/** The end of a command, which must come within 30 s. */
async function endOf({ process }: Ran): Promise<Awaited<RunningProcess['ended']>> {
  await waitFor('the end of the command', () => process.hasEnded);
  const ended = await process.ended;
  expect(ended.stderr).not.toMatch(/^\s+at |node:|Unhandled|Warning/m);
  return ended;
}

const DATA = chosen<CommandName>(
  [
    'producer --json',
    'producer requeue-overdue',
    'sender --help',
    'monitor --once',
    'monitor --audit --json',
    'monitor --json',
    'monitor as a table',
    'npm run reset -- --help',
  ],
  [
    'producer',
    'producer requeue-overdue --json',
    'producer --help',
    'monitor --help',
    'monitor --once --json',
    'monitor --audit',
    'npm start -- --help',
    'npm run bench -- --help',
  ],
);

const ONE_OF_EACH = chosen<CommandName>(
  ['producer', 'monitor --json'],
  ['producer requeue-overdue', 'sender --help', 'monitor --once', 'monitor --audit --json'],
);
const PRODUCERS = chosen<CommandName>(['producer'], ['producer --json']);

describe('data on a full disk is a failure', () => {
  test.each(DATA)('of %s, told in one sentence', async (name) => {
    const { exitCode, stderr } = await endOf(run(name, 'full disk', 'read'));
    const told = stderr.split('\n').filter((line) => line.includes('cannot write'));
    expect([exitCode, told]).toEqual([1, ['cannot write to stdout: no space left on device']]);
  });

  test.each(ONE_OF_EACH)('of %s, also where stderr is as full', async (name) => {
    expect((await endOf(run(name, 'full disk', 'full disk'))).exitCode).toBe(1);
  });

  test.each(PRODUCERS)('of %s, which says what is accepted', async (name) => {
    const { stderr } = await endOf(run(name, 'full disk', 'read'));
    expect(stderr).toContain(': 20 of 20 SMS are accepted');
  });
});

describe('one who reads no further is no failure', () => {
  test.each(DATA)('of %s', async (name) => {
    const { exitCode, stderr } = await endOf(run(name, 'closed pipe', 'read'));
    expect([exitCode, stderr]).toEqual([0, expect.not.stringContaining('cannot write')]);
  });

  test('of a monitor as a log', async () => {
    const { exitCode, stderr } = await endOf(run('monitor as a log', 'closed pipe', 'read'));
    expect([exitCode, stderr]).toEqual([0, '']);
  });

  test.each(PRODUCERS)('of %s, which says what is accepted', async (name) => {
    const { stderr } = await endOf(run(name, 'closed pipe', 'read'));
    expect(stderr).toContain(': 20 of 20 SMS are accepted');
  });

  test.each(ONE_OF_EACH)('of %s, nor is one who reads stderr no further', async (name) => {
    expect((await endOf(run(name, 'closed pipe', 'closed pipe'))).exitCode).toBe(0);
  });
});

describe('talk that cannot be written is dropped', () => {
  test.each(
    chosen<CommandName>(['producer'], ['producer --json', 'monitor --once', 'monitor --audit']).flatMap(
      (name) =>
        (['full disk', 'closed pipe', 'slow reader'] as const).map((stream) => [name, stream] as const),
    ),
  )('of %s on a %s', async (name, stream) => {
    const { exitCode, stdout } = await endOf(run(name, 'read', stream));
    expect([exitCode, stdout.length > 0]).toEqual([0, true]);
  });
});

describe('a reader that is slow', () => {
  test.each(
    chosen<CommandName>(
      ['producer --json', 'monitor --audit'],
      ['producer', 'producer --help', 'monitor --once --json'],
    ),
  )('of %s gets all of it', async (name) => {
    const ran = run(name, 'slow reader', 'read');
    await waitUntilIdle(ran.process);
    expect(ran.process.hasEnded).toBe(false);
    let text = '';
    await waitFor('the end of the command', () => {
      text += drain(ran.reader ?? 0);
      return ran.process.hasEnded;
    });
    text += drain(ran.reader ?? 0);
    expect((await endOf(ran)).exitCode).toBe(0);
    expect(text.replace(/^\.+/, '')).toMatch(/^[^.][\s\S]+\n$/);
  });
});

describe('a signal ends', () => {
  test.each(
    chosen<[CommandName, Stream, NodeJS.Signals, number | null]>(
      [
        ['monitor as a log', 'full disk', 'SIGTERM', 0],
        ['monitor --json', 'slow reader', 'SIGINT', 0],
        ['producer --json', 'slow reader', 'SIGHUP', 129],
        ['monitor --audit', 'slow reader', 'SIGINT', null],
      ],
      [
        ['monitor as a log', 'full disk', 'SIGINT', 0],
        ['monitor as a log', 'full disk', 'SIGHUP', 0],
        ['monitor as a log', 'slow reader', 'SIGTERM', 0],
        ['monitor --json', 'slow reader', 'SIGTERM', 0],
        ['monitor --json', 'slow reader', 'SIGHUP', 0],
        ['monitor as a table', 'slow reader', 'SIGTERM', 0],
        ['producer', 'slow reader', 'SIGTERM', 143],
        ['producer --json', 'slow reader', 'SIGINT', 130],
        ['monitor --once', 'slow reader', 'SIGTERM', null],
        ['producer --help', 'slow reader', 'SIGHUP', null],
      ],
    ),
  )('%s, stdout: %s, by %s', async (name, stdout, signal, exitCode) => {
    const ran = run(name, stdout, 'read');
    await waitUntilIdle(ran.process);
    ran.process.child.kill(signal);
    const { exitCode: endedWith, stderr } = await endOf(ran);
    expect(endedWith).toBe(exitCode);
    if (name === 'monitor as a log')
      expect(stderr).toMatch(/^[^\n]*"the log on stdout cannot be written[^\n]*\n$/);
    if (exitCode === null) expect(ran.process.child.signalCode).toBe(signal);
  });

  test('a producer at its first SIGINT while nobody writes to the FIFO it reads', async () => {
    const path = join(folder, 'nobody-writes');
    execFileSync('mkfifo', [path]);
    const producer = pipeline.start('producer', ['--file', path]);
    started.push(producer);
    await waitUntilIdle(producer);
    producer.child.kill('SIGINT');
    const { exitCode, stdout } = await endOf({ process: producer, reader: undefined });
    expect([exitCode, stdout]).toEqual([130, expect.stringContaining('0 of 0 SMS')]);
  });
});

test('a producer reads a FIFO to the end, however late somebody writes', async () => {
  const path = join(folder, 'somebody-writes');
  execFileSync('mkfifo', [path]);
  const producer = pipeline.start('producer', ['--file', path]);
  started.push(producer);
  await waitUntilIdle(producer);
  execFileSync('sh', ['-c', `printf 'to,text\\n+15550100001,Hello\\n+15550100002,Hi\\n' > '${path}'`]);
  const { exitCode, stdout } = await endOf({ process: producer, reader: undefined });
  expect([exitCode, stdout]).toEqual([0, expect.stringContaining('2 of 2 SMS')]);
});

describe.each(
  chosen<[string, Record<string, string>]>(
    [['TERM=dumb', { TERM: 'dumb' }]],
    [['NO_COLOR=1', { TERM: 'xterm', NO_COLOR: '1' }]],
  ),
)('a terminal with %s gets no escape sequence', (_, settings) => {
  test.each(
    chosen<[string, string, Record<string, string>?]>(
      [
        ['producer', 'producer --num-messages 3000 --rate 3000'],
        ['monitor', 'monitor --update-interval 0.3'],
      ],
      [
        ['producer, its log', 'producer --num-messages 20', { LOG_LEVEL: 'debug' }],
        ['producer --help', 'producer --help'],
        ['sender --help', 'sender --help'],
        ['monitor --once', 'monitor --once'],
        ['monitor --audit', 'monitor --audit'],
        ['sender', 'sender'],
      ],
    ),
  )('of %s', async (_name, line, more = {}) => {
    const shown = await onTerminal(line, { ...settings, ...more });
    expect(shown.length).toBeGreaterThan(20);
    expect(shown).not.toContain('\u001b');
  });
});

test.each(chosen(['producer --num-messages 3000 --rate 3000'], ['monitor --update-interval 0.3', 'sender']))(
  'another terminal gets escape sequences of %s',
  async (line) => {
    expect(await onTerminal(line, { TERM: 'xterm' })).toContain('\u001b');
  },
);

/** What a command shows on a terminal of its own, within three seconds. */
async function onTerminal(line: string, settings: Record<string, string>): Promise<string> {
  const [command, ...args] = line.split(' ');
  const node = `exec '${process.execPath}' scripts/commands/${command}.js ${args.join(' ')}`;
  const timed = ['-qefc', `exec timeout --foreground -s TERM 3 sh -c "${node}"`, '/dev/null'];
  const shown = pipeline.run(timed, settings, { program: 'script', stdio: 'pipe' });
  started.push(shown);
  return (await shown.ended).stdout;
}

/** Waits until a process has nothing to do: it waits for somebody. */
async function waitUntilIdle({ child }: RunningProcess): Promise<void> {
  let before = 0;
  let quietLooks = -1;
  await waitFor('the process to have nothing to do', () => {
    const now = cpuTicks(child.pid ?? 0);
    quietLooks = now - before <= 1 && now > 5 ? quietLooks + 1 : 0;
    before = now;
    return quietLooks >= 10 || child.exitCode !== null;
  });
}

/** CPU time a process has taken, in hundredths of a second. */
function cpuTicks(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ');
  return Number(fields[11]) + Number(fields[12]);
}
