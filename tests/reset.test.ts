/** `npm run reset` as it is typed. */

import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, expect, inject, test } from 'vitest';
import { makeCheckout } from './kit/process/checkout.ts';
import { PipelineUnderTest } from './kit/process/pipeline-under-test.ts';

const pipeline = new PipelineUnderTest(inject('servers'), 'reset');
const checkout = makeCheckout('reset');
afterEach(() => pipeline.end());
afterAll(() => rmSync(checkout, { recursive: true, force: true }));

function reset(env: Record<string, string>) {
  const args = [join(checkout, 'dist', 'scripts', 'reset', 'reset.js'), '--yes'];
  const startedAtMs = Date.now();
  const { status, stderr } = spawnSync(process.execPath, args, { cwd: checkout, env, encoding: 'utf8' });
  return { status, lines: stderr.trim().split('\n'), seconds: (Date.now() - startedAtMs) / 1_000 };
}

const nothing = {
  ...{ PATH: process.env.PATH ?? '', HOME: checkout, AWS_ACCESS_KEY_ID: 'a', AWS_SECRET_ACCESS_KEY: 'b' },
  ...{ RABBITMQ_URL: 'amqp://127.0.0.1:1', RABBITMQ_MANAGEMENT_URL: 'http://127.0.0.1:1' },
  ...{ REDIS_URL: 'redis://:hidden@127.0.0.1:1', AWS_ENDPOINT_URL: 'http://127.0.0.1:1' },
};

test('where no server runs, a reset says so in one line after what it forgets, without a wait', () => {
  mkdirSync(join(checkout, '.redial'), { recursive: true });
  const { status, lines, seconds } = reset(nothing);
  expect(status).toBe(0);
  expect(lines.slice(0, 2)).toEqual(['This forgets:', expect.stringContaining('the folder .redial')]);
  expect(lines.slice(2)).toEqual([
    'Left alone, because nothing answers there: RabbitMQ at http://127.0.0.1:1, Redis at 127.0.0.1:1, S3 at http://127.0.0.1:1.',
    'Forgotten.',
  ]);
  expect(seconds).toBeLessThan(30);

  expect(reset(nothing).lines).toEqual([
    'There is nothing to forget.',
    expect.stringContaining('Left alone'),
  ]);
});

test('a reset under a sender that runs says that the sender makes queues and counters again', async () => {
  await pipeline.startSender();
  const { status, lines } = reset(pipeline.environment);
  expect(status).toBe(0);
  expect(lines.slice(-2)).toEqual([
    '1 sender takes SMS from these queues: it makes queues and counters again while it runs. Stop it first.',
    'Forgotten.',
  ]);
});
