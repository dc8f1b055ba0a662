/** `npm start` on servers that are there already, in a checkout of its own. */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, expect, inject, test } from 'vitest';
import { inspectQueues } from '../shared/adapters/rabbitmq/inspect-queue.ts';
import { makeCheckout } from './kit/process/checkout.ts';
import { RunningProcess } from './kit/process/running-process.ts';
import { environmentOf as addressesAsEnvironment } from './kit/process/test-servers.ts';
import { isThorough } from './kit/process/thorough.ts';
import { RecordedLog } from './kit/recorded-log.ts';
import { waitFor } from './kit/wait-for.ts';

const servers = inject('servers');
const checkout = makeCheckout('guided-run');
const bare = { PATH: process.env.PATH ?? '', HOME: checkout, AWS_EC2_METADATA_DISABLED: 'true' };
const started: RunningProcess[] = [];

afterEach(() => Promise.all(started.splice(0).map((each) => each.stop('SIGKILL'))));
afterAll(() => rmSync(checkout, { recursive: true, force: true }));

/** An environment that names the servers of the test run, and a pipeline of its own on them. */
function environmentOf(name: string, settings: Record<string, string> = {}): Record<string, string> {
  const pipeline = `guided-${name}-${process.pid}-${Date.now().toString(36)}`;
  return {
    ...{ ...bare, ...addressesAsEnvironment(servers), QUEUE_NAME: pipeline, S3_BUCKET: pipeline },
    ...settings,
  };
}

function start(file: string, args: readonly string[], env: Record<string, string>): RunningProcess {
  const each = new RunningProcess({
    args: [join(checkout, file), ...args],
    folder: checkout,
    environment: env,
  });
  started.push(each);
  return each;
}

const npmStart = (args: readonly string[], env: Record<string, string>) =>
  start('dist/scripts/guided/guided-run.js', args, env);

async function readyCountOf(queueName: string): Promise<number | undefined> {
  const options = { urls: [servers.rabbitmqUrl], name: 'test', log: new RecordedLog(), deadlineMs: 10_000 };
  return (await inspectQueues(options, [queueName])).get(queueName)?.messageCount;
}

/** What a sender says of its settings. */
function settingsIn(log: string): Record<string, unknown> {
  return JSON.parse(log.split('\n').find((line) => line.includes('"msg":"sending"')) ?? '') as Record<
    string,
    unknown
  >;
}

test('one more sender in a second terminal works with the settings of npm start, and one that does not says so', async () => {
  const given = {
    FAILURE_RATE: '0.3',
    PERMANENT_FAILURE_SHARE: '0.5',
    SENDER_CONCURRENCY: '7',
    LOG_LEVEL: 'info',
  };
  const environment = environmentOf('settings', given);
  const run = npmStart(['--num-messages', '20', '--senders', '1', '--keep'], environment);
  await run.says('Everything keeps running');
  const settings = {
    ...{ queue: environment.QUEUE_NAME, failureRate: 0.3, permanentFailureShare: 0.5, concurrency: 7 },
    ...{ meanProcessingSeconds: 0.2, retrySchedule: '1s,2s,4s', seed: 1 },
  };

  const told = (run.stderr + run.stdout).split('\n').filter((line) => !line.includes('head -n 1'));
  expect(told.filter((line) => line.length > 80)).toEqual([]);

  // 1. By itself, and with scale_sender.sh.
  const like = start('scripts/commands/sender.js', [], bare);
  await like.says('"msg":"sending"');
  expect(settingsIn(like.stdout)).toMatchObject(settings);
  expect(spawnSync('./scale_sender.sh', ['1'], { cwd: checkout, env: bare }).status).toBe(0);
  const scaledLog = join(checkout, 'sender_logs', 'sender_instance_1.log');
  await waitFor('the other sender to be sending', () =>
    readFileSync(scaledLog, 'utf8').includes('"msg":"sending"'),
  );
  expect(settingsIn(readFileSync(scaledLog, 'utf8'))).toMatchObject(settings);
  expect(spawnSync('./scale_sender.sh', ['0'], { cwd: checkout, env: bare }).status).toBe(0);
  expect((await like.stop()).stdout + readFileSync(scaledLog, 'utf8')).not.toContain('other settings');

  // 2. What is nearer wins, and is told.
  const unlike = start('scripts/commands/sender.js', ['--retry-schedule', '3s'], {
    ...bare,
    FAILURE_RATE: '0.4',
  });
  await unlike.says('other settings than senders that run already');
  expect(unlike.stdout).toContain('RETRY_SCHEDULE 3s (others: 1s,2s,4s), FAILURE_RATE 0.4 (others: 0.3)');
  expect(settingsIn(unlike.stdout)).toMatchObject({ ...settings, retrySchedule: '3s', failureRate: 0.4 });

  expect((await unlike.stop()).exitCode).toBe(0);
  expect(await run.stop('SIGINT')).toMatchObject({ exitCode: 0 });
  expect(existsSync(join(checkout, '.redial', 'servers.env'))).toBe(false);
});

test('Ctrl-C says that senders finish what they are sending, and what is left; the next npm start says that it goes first', async () => {
  const slow = {
    MEAN_PROCESSING_TIME: '6',
    PROCESSING_TIME_DISTRIBUTION: 'constant',
    SENDER_CONCURRENCY: '10',
  };
  const environment = environmentOf('left', slow);
  const first = npmStart(['--num-messages', '200', '--senders', '2'], environment);
  await waitFor('both senders to have SMS in hand', async () => {
    const logs = [1, 2].map((number) => join(checkout, '.redial', 'logs', `sender-${number}.log`));
    const areSending = logs.every(
      (log) => existsSync(log) && readFileSync(log, 'utf8').includes('"msg":"sending"'),
    );
    const work = await readyCountOf(`${environment.QUEUE_NAME}.work`);
    return areSending && work !== undefined && work > 100 && work <= 180;
  });
  const { exitCode, stderr } = await first.stop('SIGINT');
  expect(exitCode).toBe(130);
  expect(stderr).toMatch(/2 senders still finish what they are sending, \d+ s more at most/);
  const [, left] =
    /(\d+) SMS without an outcome wait in RabbitMQ \(as the environment says\)/.exec(stderr) ?? [];
  expect(Number(left)).toBeGreaterThan(100);
  expect(stderr).toContain('the next npm start sends them first');

  const fast = { ...environment, MEAN_PROCESSING_TIME: '0.01', FAILURE_RATE: '0' };
  const second = await npmStart(['--num-messages', '10', '--senders', '1'], fast).ended;
  expect(second.exitCode).toBe(0);
  expect(second.stderr).toContain(`${left} SMS of earlier runs wait in RabbitMQ and go first.`);
  expect(second.stderr).not.toContain('without an outcome');
});

test.runIf(isThorough)('Ctrl-C in the first second of the senders is no complaint', async () => {
  const run = npmStart(['--num-messages', '20'], environmentOf('early'));
  await run.says('Sending 20 SMS');
  const { exitCode, stderr } = await run.stop('SIGINT');
  expect(exitCode).toBe(130);
  expect(stderr).not.toMatch(/SIGTERM|log/);
});

test.runIf(isThorough)(
  'Ctrl-C on a terminal leaves the progress as it was, also where ^C stands at its end',
  async () => {
    const slow = { MEAN_PROCESSING_TIME: '60', TERM: 'xterm', SHUTDOWN_TIMEOUT: '1' };
    // So narrow that what the terminal shows of Ctrl-C stands in the last column.
    const command = `stty cols 50; exec ${process.execPath} dist/scripts/guided/guided-run.js --num-messages 20 --senders 1`;
    const run = new RunningProcess({
      ...{ program: 'script', args: ['-qefc', command, '/dev/null'], folder: checkout, stdio: 'pipe' },
      environment: environmentOf('terminal', slow),
    });
    started.push(run);
    await run.says('sent 0, failed 0');
    run.child.stdin?.write('\u0003');
    const { stdout } = await run.ended;
    const [afterwards = ''] = stdout.slice(stdout.indexOf('^C')).split('\n');
    expect(afterwards).toMatch(/\[1G.*%.*sent 0, failed 0/);
  },
);
