import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, inject, test } from 'vitest';
import { findFreePorts } from '../scripts/servers/free-ports.ts';
import { PipelineUnderTest } from './kit/process/pipeline-under-test.ts';
import { waitFor } from './kit/wait-for.ts';

const servers = inject('servers');
const PROJECT_FOLDER = join(import.meta.dirname, '..');
const LOGS = join(servers.folder, 'sender logs');
const [metricsPort = 0] = await findFreePorts(1);
const pipeline = new PipelineUnderTest(servers, 'scaled', {
  METRICS_PORT: String(metricsPort),
  SENDER_LOGS: LOGS,
  SENDER_CONCURRENCY: '20',
  MEAN_PROCESSING_TIME: '0.2',
});
// Ten seconds of five senders.
const LOAD = 5_000;
const bystanders: ChildProcess[] = [];

afterEach(async () => {
  scale('0');
  for (const bystander of bystanders.splice(0)) bystander.kill('SIGKILL');
  await pipeline.end();
});

interface Scaled {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function scale(...args: string[]): Scaled {
  const options = { cwd: PROJECT_FOLDER, env: pipeline.environment, encoding: 'utf8' } as const;
  const { status, stdout, stderr } = spawnSync('./scale_sender.sh', args, options);
  return { exitCode: status, stdout, stderr };
}

async function scaleAtOnce(count: string): Promise<number | null> {
  const child = spawn('./scale_sender.sh', [count], {
    cwd: PROJECT_FOLDER,
    env: pipeline.environment,
    stdio: 'ignore',
  });
  return new Promise((resolve) => child.once('close', resolve));
}

/** Number and process of each sender that runs. */
function listSenders(): { readonly number: number; readonly pid: number }[] {
  const lines = scale('status').stdout.matchAll(/sender (\d+) {2}process (\d+)/g);
  return [...lines].map(([, number, pid]) => ({ number: Number(number), pid: Number(pid) }));
}

/** Not what says it runs, but what the system knows: a process that has ended has no command line any more. */
function isAlive(pid: number): boolean {
  const file = `/proc/${pid}/cmdline`;
  return existsSync(file) && readFileSync(file, 'utf8') !== '';
}

function logOf(number: number): string {
  return readFileSync(join(LOGS, `sender_instance_${number}.log`), 'utf8');
}

test('5, 2 and 0 senders under load: the right number at each point, every stop a drain, nothing lost', async () => {
  // 1. Five, connected when the command returns.
  expect(scale('5')).toMatchObject({ exitCode: 0, stdout: expect.stringContaining('5 local senders') });
  const five = listSenders();
  expect(five.map(({ number }) => number)).toEqual([1, 2, 3, 4, 5]);
  expect(five.every(({ pid }) => isAlive(pid))).toBe(true);
  await pipeline.produce(LOAD, 'load');

  // 2. Two of them, while all of them send.
  expect(scale('2').exitCode).toBe(0);
  expect((await pipeline.snapshot()).inProgress).toBeGreaterThan(0);
  expect(listSenders()).toEqual(five.slice(0, 2));
  expect(five.map(({ pid }) => isAlive(pid))).toEqual([true, true, false, false, false]);
  for (const number of [3, 4, 5]) expect(logOf(number)).toContain('"msg":"drained"');

  // 3. None, with SMS left.
  expect(scale('0')).toMatchObject({ exitCode: 0, stdout: expect.stringContaining('0 local senders') });
  expect(five.some(({ pid }) => isAlive(pid))).toBe(false);
  for (const number of [1, 2]) expect(logOf(number)).toContain('"msg":"drained"');
  expect((await pipeline.snapshot()).inProgress).toBeGreaterThan(0);

  // 4. Some again, for the rest: nothing was lost, and nothing had to be sent twice.
  expect(scale('5').exitCode).toBe(0);
  const { repeatedSends } = await pipeline.waitUntilDone(LOAD);
  expect(repeatedSends).toBe(0);
  await waitFor('the books to balance with nothing missing', async () => {
    const { report } = await pipeline.audit();
    expect(report).toMatchObject({ accepted: LOAD, balanced: true, countersAgree: true });
    return report.missing === 0;
  });
});

test('a sender that died is replaced, and a process of another kind is left alone', async () => {
  scale('2');
  const [victim = { pid: 0 }, survivor] = listSenders();
  // Each has a port of its own for its metrics, if it is to be had.
  for (const number of [1, 2]) expect(logOf(number)).toContain(`127.0.0.1:${metricsPort + number - 1}`);
  process.kill(victim.pid, 'SIGKILL');
  await waitFor('the sender to be dead', () => !isAlive(victim.pid));
  const lookalike = `node ${join(PROJECT_FOLDER, 'dist', 'sender', 'main.js')} >${LOGS}/sender_instance_7.log`;
  bystanders.push(spawn('tail', ['-f', '/dev/null', lookalike], { stdio: 'ignore' }));
  expect(scale('2').exitCode).toBe(0);
  const [replacement, other] = listSenders();
  expect([replacement?.number, other]).toEqual([1, survivor]);
  expect(replacement?.pid).not.toBe(victim.pid);
  expect(scale('0').exitCode).toBe(0);
  expect(bystanders[0]?.exitCode).toBeNull();
});

test('calls at the same time follow one another', async () => {
  expect(await Promise.all(['2', '3', '2'].map(scaleAtOnce))).toEqual([0, 0, 0]);
  // Whichever was the last.
  expect([2, 3]).toContain(listSenders().length);
});

test('a call that was killed holds nobody up, and neither does the number of a process that is not one', () => {
  mkdirSync(join(LOGS, '.lock'), { recursive: true });
  // Ours lives, but is no scale_sender.sh.
  writeFileSync(join(LOGS, '.lock', 'pid'), `${process.pid}\n`);
  expect(scale('0').exitCode).toBe(0);
  expect(existsSync(join(LOGS, '.lock'))).toBe(false);
});

test('logs are for their owner only, those of an earlier time too', () => {
  rmSync(LOGS, { recursive: true, force: true });
  expect(scale('1').exitCode).toBe(0);
  const written = ['sender_instance_1.log', 'sender_instance_1.heartbeat'].map((name) => join(LOGS, name));
  const openToOthers = () => [LOGS, ...written].filter((path) => (statSync(path).mode & 0o077) !== 0);
  expect(openToOthers()).toEqual([]);
  scale('0');
  chmodSync(join(LOGS, 'sender_instance_1.log'), 0o644);
  expect(scale('1').exitCode).toBe(0);
  expect(openToOthers()).toEqual([]);
});

test.each([
  ['sender_logs', 0o700],
  // It may serve others too.
  ['logs of everybody', 0o755],
])('the folder %s that was open to all gets the mode %o', (name, mode) => {
  const checkout = mkdtempSync(join(tmpdir(), 'redial-checkout-'));
  const logs = join(checkout, name);
  mkdirSync(logs);
  chmodSync(logs, 0o755);
  copyFileSync(join(PROJECT_FOLDER, 'scale_sender.sh'), join(checkout, 'scale_sender.sh'));
  const env = { ...process.env, ...(mode === 0o700 ? {} : { SENDER_LOGS: logs }) };
  expect(spawnSync('./scale_sender.sh', ['0'], { cwd: checkout, env }).status).toBe(0);
  expect(statSync(logs).mode & 0o777).toBe(mode);
  rmSync(checkout, { recursive: true });
});

test.each([
  ['a folder for its logs that it may not write', 0o755, 'sender_logs'],
  ['a dead lock there that it may not remove', 0o755, 'sender_logs/.lock'],
  ['a checkout in which it may not make that folder', 0o555, undefined],
])('with %s the script says so and ends at once', (_, mode, existing) => {
  const checkout = mkdtempSync(join(tmpdir(), 'redial-checkout-'));
  try {
    copyFileSync(join(PROJECT_FOLDER, 'scale_sender.sh'), join(checkout, 'scale_sender.sh'));
    if (existing !== undefined) mkdirSync(join(checkout, existing), { recursive: true });
    if (existing !== undefined) chmodSync(join(checkout, 'sender_logs'), 0o555);
    chmodSync(checkout, mode);
    // Nothing is forbidden to root; nobody may not write either.
    const asNobody = ['--reuid=65534', '--regid=65534', '--clear-groups', './scale_sender.sh', '1'];
    const [command, args] = process.getuid?.() === 0 ? ['setpriv', asNobody] : ['./scale_sender.sh', ['1']];
    const { status, stderr } = spawnSync(command, args, {
      cwd: checkout,
      encoding: 'utf8',
      timeout: 120_000,
    });
    expect([status, stderr]).toEqual([1, expect.stringMatching(/cannot write in .*SENDER_LOGS=FOLDER/)]);
  } finally {
    chmodSync(checkout, 0o755);
    rmSync(checkout, { recursive: true, force: true });
  }
});

test('the help fits into 80 columns', () => {
  const lines = scale('--help').stdout.split('\n');
  expect(lines.length).toBeGreaterThan(5);
  expect(lines.filter((line) => line.length > 80)).toEqual([]);
});

test('a sender that cannot work is told with its reason', () => {
  const environment = { ...pipeline.environment, FAILURE_RATE: '7' };
  const options = { cwd: PROJECT_FOLDER, env: environment, encoding: 'utf8' } as const;
  const { status, stderr } = spawnSync('./scale_sender.sh', ['1'], options);
  expect([status, stderr]).toEqual([1, expect.stringContaining('FAILURE_RATE must be between 0 and 1')]);
});

test.each([
  [[], 'how many senders?'],
  [['many'], 'must be a whole number such as 5, got "many"'],
  [['-1'], 'must be a whole number such as 5, got "-1"'],
  [['2', '3'], 'one number or status, got 2 and 3'],
  [['1000'], 'at most 999 senders'],
])('wrong arguments %j are refused in one line', (args, sentence) => {
  const { exitCode, stdout, stderr } = scale(...args);
  expect([exitCode, stdout]).toEqual([2, '']);
  expect(stderr).toContain(sentence);
  expect(stderr.trim().split('\n')).toHaveLength(1);
});
