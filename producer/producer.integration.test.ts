import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { afterEach, beforeAll, describe, expect, inject, it } from 'vitest';
import { decodeJournal } from '../shared/domain/outcome/journal.ts';
import { encodeBody } from '../shared/domain/sms/envelope.ts';
import { FEW_YOUNG_OBJECTS } from '../tests/kit/process/processes-seen.ts';
import { generateSms } from './produce/generate-sms.ts';

const servers = inject('servers');
const projectFolder = join(import.meta.dirname, '..');
const deadlineMs = 60_000;
let queueCount = 0;

interface Run {
  readonly queueName: string;
  readonly child: ChildProcessByStdio<Writable, Readable, Readable>;
  /** On stderr. */
  readonly saidSoFar: () => string;
  readonly ended: Promise<{
    readonly exitCode: number | null;
    readonly stdout: string;
    readonly stderr: string;
  }>;
}

const running: Run[] = [];
afterEach(() => {
  for (const { child } of running.splice(0)) child.kill('SIGKILL');
});

// The first call builds; no test is to wait for that.
beforeAll(async () => {
  await producer(['--help']).ended;
});

function producer(args: string[], environment: Record<string, string> = {}): Run {
  queueCount += 1;
  const queueName = `producer-${process.pid}-${queueCount}`;
  const child = spawn(
    process.execPath,
    [join(projectFolder, 'scripts', 'commands', 'producer.js'), ...args],
    {
      env: {
        ...process.env,
        RABBITMQ_URL: servers.rabbitmqUrl,
        REDIS_URL: servers.redisUrl,
        QUEUE_NAME: queueName,
        ...environment,
      },
      stdio: ['pipe', 'pipe', 'pipe'],
    },
  );
  let said = '';
  child.stderr.on('data', (chunk) => {
    said += String(chunk);
  });
  const [exit, stdout] = [once(child, 'close'), text(child.stdout)];
  const ended = Promise.all([exit, stdout]).then(([[exitCode], out]) => {
    return { exitCode: exitCode as number | null, stdout: out, stderr: said };
  });
  const run = { queueName, child, ended, saidSoFar: () => said };
  running.push(run);
  return run;
}

interface QueuedMessage {
  readonly routing_key: string;
  readonly properties: Record<string, unknown> & { readonly headers: Record<string, unknown> };
  readonly payload: string;
}

async function management(path: string, body?: object): Promise<unknown> {
  const { username, password } = new URL(servers.rabbitmqUrl);
  const response = await fetch(`${servers.managementUrl}/api/queues/%2F/${path}`, {
    method: body === undefined ? 'GET' : 'POST',
    headers: {
      authorization: `Basic ${btoa(`${username || 'guest'}:${password || 'guest'}`)}`,
      'content-type': 'application/json',
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return response.json();
}

async function readQueue(queueName: string, count: number): Promise<QueuedMessage[]> {
  const messages = await management(`${queueName}/get`, {
    count,
    ackmode: 'ack_requeue_true',
    encoding: 'auto',
  });
  return messages as QueuedMessage[];
}

async function countMessages(queueName: string): Promise<number> {
  const { messages } = (await management(queueName)) as { messages?: number };
  return messages ?? 0;
}

async function until(isReached: () => Promise<boolean>): Promise<void> {
  const endMs = Date.now() + deadlineMs;
  while (!(await isReached())) {
    if (Date.now() > endMs) throw new Error('the condition was not reached in time');
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

describe('1,000 SMS', () => {
  it('are in the work queue, as INTERFACE describes them, and announced in the journal', async () => {
    const startMs = Date.now();
    const { queueName, ended } = producer(['--num-messages', '1000', '--run', 'demo', '--json']);
    const { exitCode, stdout, stderr } = await ended;
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: expect.stringContaining('npx sender') });
    expect(JSON.parse(stdout)).toEqual({
      run: 'demo',
      requested: 1_000,
      accepted: 1_000,
      seconds: expect.any(Number),
      smsPerSecond: expect.any(Number),
      // No sender has run yet, so nobody can tell whether this run was produced before.
      acceptedBefore: 0,
      mayBeRepeated: 1_000,
    });

    const messages = await readQueue(`${queueName}.work`, 2_000);
    expect(messages).toHaveLength(1_000);
    for (const [index, { routing_key, properties, payload }] of messages.entries()) {
      const sms = generateSms('demo', index + 1);
      const { acceptedAt } = properties.headers;
      expect(routing_key).toBe('work');
      expect(payload).toBe(encodeBody(sms).toString());
      expect(properties).toEqual({
        message_id: sms.id,
        type: 'sms',
        app_id: 'redial',
        content_type: 'application/json',
        delivery_mode: 2,
        timestamp: Math.floor(Number(acceptedAt) / 1_000),
        // Reading it adds x-delivery-count.
        headers: expect.objectContaining({ attempt: 1, run: 'demo', acceptedAt: expect.any(Number) }),
      });
      expect(Number(acceptedAt)).toBeGreaterThanOrEqual(startMs);
      expect(Number(acceptedAt)).toBeLessThanOrEqual(Date.now());
    }

    const journal = await readQueue(`${queueName}.journal`, 100);
    expect(decodeJournal(Buffer.from(journal.at(-1)?.payload ?? '')).entries).toEqual([
      {
        kind: 'accepted',
        announcement: {
          run: 'demo',
          queue: queueName,
          accepted: 1_000,
          acceptedUpTo: 1_000,
          input: 'generated',
          at: expect.any(String),
        },
      },
    ]);
  });
});

describe('a file on standard input', () => {
  it('has its good lines sent and its bad ones named, without a phone number', async () => {
    const { queueName, child, ended } = producer(['--file', '-', '--run', 'list']);
    child.stdin.end('to,text\n+15550100001,Hello\n15550100002,no plus\n+15550100003,Hi\n');
    const { exitCode, stdout, stderr } = await ended;
    expect(exitCode).toBe(1);
    expect(stdout).toContain('2 of 3 SMS');
    expect(stderr).toContain('line 3: to is not a phone number\n');
    expect(stdout + stderr).not.toMatch(/1555\d/);
    const messages = await readQueue(`${queueName}.work`, 10);
    expect(messages.map(({ properties }) => properties.message_id)).toEqual(['list-000001', 'list-000003']);
  });

  it('has each SMS in the queue of its priority, with its moments, and what it does not say from the flags', async () => {
    const flags = ['--priority', 'low', '--send-at', '2020-01-01T00:00:00Z', '--valid-for', '1h'];
    const { queueName, child, ended } = producer(['--file', '-', '--run', 'list', ...flags]);
    child.stdin.end(
      'to,text,sendAt,priority\n+15550100001,a,,\n+15550100002,b,2d,high\n+15550100003,c,,normal\n',
    );
    expect(await ended).toMatchObject({ exitCode: 0, stdout: expect.stringContaining('3 of 3 SMS') });
    const told = ['low', 'high', 'work'].map(async (lane) =>
      (await readQueue(`${queueName}.${lane}`, 10)).map(({ properties: { message_id, headers } }) => {
        const { acceptedAt, notBefore, expiresAt, priority } = headers;
        const firstMs = Number(notBefore ?? acceptedAt);
        // A `2d` counts from the moment at which its row is read, which is shortly before the SMS is accepted.
        const heldDays = Math.round((firstMs - Number(acceptedAt)) / 86_400_000);
        return [message_id, priority, heldDays, Number(expiresAt) - firstMs];
      }),
    );
    expect(await Promise.all(told)).toEqual([
      [['list-000001', 'low', 0, 3_600_000]],
      [['list-000002', 'high', 2, 3_600_000]],
      [['list-000003', 'normal', 0, 3_600_000]],
    ]);
  });

  it('that stays open does not keep an interrupted producer', async () => {
    const { queueName, child, ended } = producer(['--file', '-', '--json']);
    child.stdin.write('to,text\n+15550100001,Hello\n');
    await until(async () => (await countMessages(`${queueName}.work`)) > 0);
    child.kill('SIGTERM');
    const { exitCode, stdout } = await ended;
    expect(exitCode).toBe(143);
    expect(JSON.parse(stdout)).toMatchObject({ requested: 1, accepted: 1, badLines: 0 });
  });
});

it('100,000 SMS need less than 200 MB of memory', async () => {
  const { child, ended } = producer(['--num-messages', '100000', '--json'], FEW_YOUNG_OBJECTS);
  let peakBytes = 0;
  const measuring = setInterval(() => {
    peakBytes = Math.max(peakBytes, readPeakBytes(child.pid ?? 0));
  }, 50);
  const { exitCode, stdout } = await ended;
  clearInterval(measuring);
  expect(exitCode).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ accepted: 100_000 });
  expect(peakBytes).toBeGreaterThan(30e6);
  expect(peakBytes).toBeLessThan(200e6);
});

function readPeakBytes(processId: number): number {
  try {
    const status = readFileSync(`/proc/${processId}/status`, 'utf8');
    return Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0) * 1_024;
  } catch {
    return 0;
  }
}

describe('an interrupted producer', () => {
  it('says how many SMS RabbitMQ has confirmed: as many as are in the queue, and announced', async () => {
    const { queueName, child, ended } = producer(['--num-messages', '1000000', '--rate', '800', '--json']);
    await until(async () => (await countMessages(`${queueName}.journal`)) > 0);
    child.kill('SIGINT');
    const { exitCode, stdout, stderr } = await ended;
    expect(exitCode).toBe(130);
    const { accepted } = JSON.parse(stdout) as { accepted: number };
    expect(stderr).toContain(`RabbitMQ has confirmed ${accepted.toLocaleString('en-US')} of 1,000,000 SMS`);
    const messages = await readQueue(`${queueName}.work`, 100_000);
    expect(messages).toHaveLength(accepted);
    const journal = await readQueue(`${queueName}.journal`, 100);
    const [entry] = decodeJournal(Buffer.from(journal.at(-1)?.payload ?? '')).entries;
    expect(entry).toMatchObject({ announcement: { accepted, acceptedUpTo: accepted } });
  });

  it('ends while it still waits for RabbitMQ', async () => {
    const { child, ended, saidSoFar } = producer([], { RABBITMQ_URL: 'amqp://127.0.0.1:1' });
    await until(async () => saidSoFar().includes('waiting up to'));
    const killedAtMs = Date.now();
    child.kill('SIGINT');
    const { exitCode, stdout } = await ended;
    expect(exitCode).toBe(130);
    expect(stdout).toContain('0 of 1,000 SMS');
    expect(Date.now() - killedAtMs).toBeLessThan(30_000);
  });
});

it.each([
  { what: 'a wrong password', account: 'guest:tiger-lily', path: '', advice: 'RABBITMQ_PASSWORD' },
  { what: 'a missing virtual host', account: 'guest:guest', path: '/nowhere', advice: 'RABBITMQ_VHOST' },
])('$what ends it at once with 69 and what to check', async ({ account, path, advice }) => {
  const url = `amqp://${account}@${new URL(servers.rabbitmqUrl).host}${path}`;
  const startMs = Date.now();
  const { exitCode, stdout, stderr } = await producer([], { RABBITMQ_URL: url }).ended;
  expect({ exitCode, stdout }).toEqual({ exitCode: 69, stdout: '' });
  expect(stderr).toContain(advice);
  expect(stderr).not.toContain('tiger-lily');
  expect(Date.now() - startMs).toBeLessThan(30_000);
});

it.each([
  [['--num-messages', '1e3'], '--num-messages must be a whole number from 1 to 999999999999, got "1e3"'],
  [['--num-mesages', '5'], 'Did you mean --num-messages?'],
  [['--file', 'missing.csv'], '--file missing.csv does not exist'],
])('%j is wrong usage', async (args, sentence) => {
  const { exitCode, stdout, stderr } = await producer(args).ended;
  expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' });
  expect(stderr).toContain(sentence);
});
