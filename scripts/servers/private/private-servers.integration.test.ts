import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import {
  CreateBucketCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { afterAll, expect, test } from 'vitest';
import { startTestedRabbitMq } from '../../../tests/kit/rabbitmq/tested-rabbitmq.ts';
import type { ServerName } from '../server-addresses.ts';
import { startEmbeddedS3 } from './embedded-s3.ts';
import { startPrivateRedis } from './private-redis.ts';
import { startPrivateServers } from './private-servers.ts';

const folder = mkdtempSync(join(tmpdir(), 'redial-servers-'));
const path = process.env.PATH ?? '';
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('RabbitMQ keeps its queues over SIGKILL and a start on the same ports', async () => {
  const rabbitMq = await startTestedRabbitMq(join(folder, 'rabbitmq'));
  const { pid } = rabbitMq;
  const headers = { authorization: `Basic ${btoa('guest:guest')}`, 'content-type': 'application/json' };
  const queue = `${rabbitMq.managementUrl}/api/queues/%2F/kept`;
  await fetch(queue, {
    method: 'PUT',
    headers,
    body: '{"durable":true,"arguments":{"x-queue-type":"quorum"}}',
  });

  await rabbitMq.stop({ signal: 'SIGKILL' });
  expect(rabbitMq.pid).toBeUndefined();
  await rabbitMq.start();

  expect(rabbitMq.pid).not.toBe(pid);
  expect((await fetch(queue, { headers })).status).toBe(200);
  expect(
    await rabbitMq.rabbitmqctl(
      '-q',
      'eval',
      '{ok, V} = application:get_env(rabbit, quorum_tick_interval), V.',
    ),
  ).toContain('1000');
  await rabbitMq.stop();
  expect(await listProcesses(folder)).toEqual([]);
});

test('Redis keeps its keys over a restart, also out of a frozen state', async () => {
  const redis = await startPrivateRedis({ folder: join(folder, 'redis'), path });
  const inRedis = async (...command: string[]) =>
    (await promisify(execFile)('redis-cli', ['-p', String(redis.port), ...command])).stdout.trim();
  await inRedis('SET', 'kept', 'yes');
  process.kill(redis.pid ?? 0, 'SIGSTOP');
  await redis.stop();
  await redis.start();
  expect(await inRedis('GET', 'kept')).toBe('yes');
  await redis.stop({ signal: 'SIGKILL' });
});

test('the embedded S3 server lists more than 1,000 objects and keeps them over a restart', async () => {
  const s3 = await startEmbeddedS3({ folder: join(folder, 's3'), logFolder: folder, path });
  const client = new S3Client({
    endpoint: s3.endpoint,
    region: 'us-east-1',
    forcePathStyle: true,
    credentials: { accessKeyId: s3.accessKeyId, secretAccessKey: s3.secretAccessKey },
  });
  const where = { Bucket: 'outcomes' };
  await client.send(new CreateBucketCommand(where));
  for (let number = 0; number < 1_010; number += 10) {
    const keys = Array.from(
      { length: 10 },
      (_, index) => `success/${String(number + index).padStart(6, '0')}`,
    );
    await Promise.all(keys.map((Key) => client.send(new PutObjectCommand({ ...where, Key, Body: Key }))));
  }

  await s3.stop({ signal: 'SIGKILL' });
  await s3.start();

  const first = await client.send(new ListObjectsV2Command({ ...where, Prefix: 'success/' }));
  const ContinuationToken = first.NextContinuationToken;
  const second = await client.send(
    new ListObjectsV2Command({ ...where, Prefix: 'success/', ContinuationToken }),
  );
  expect([first.Contents?.length, second.Contents?.length]).toEqual([1_000, 10]);
  const object = await client.send(new GetObjectCommand({ ...where, Key: 'success/001009' }));
  expect(await object.Body?.transformToString()).toBe('success/001009');
  await s3.stop();
});

test('private servers that are started again are where they were, but for a port that somebody has taken', async () => {
  const again = join(folder, 'again');
  const startAgain = (wanted: readonly ServerName[]) => startPrivateServers({ folder: again, path, wanted });
  const all = ['rabbitmq', 'redis', 's3'] as const;
  const first = await startAgain(all);
  await first.stop();
  const second = await startAgain(all);
  await second.stop();
  expect(second.addresses).toEqual(first.addresses);

  const port = Number(new URL(first.addresses.redis?.REDIS_URL ?? '').port);
  const other = await startPrivateRedis({ folder: join(folder, 'other'), path, port });
  const third = await startAgain(['redis', 's3']);
  await Promise.all([third.stop(), other.stop()]);
  expect(third.addresses.s3).toEqual(first.addresses.s3);
  expect(third.addresses.redis).not.toEqual(first.addresses.redis);
});

test('what private servers write is for its owner only', async () => {
  const own = join(folder, '.redial');
  mkdirSync(own, { mode: 0o755 });
  const servers = await startPrivateServers({ folder: own, path, wanted: ['rabbitmq', 'redis', 's3'] });
  await fetch(`${servers.addresses.s3?.AWS_ENDPOINT_URL}/outcomes`, { method: 'PUT' });
  await servers.stop();
  const inside = readdirSync(own, { recursive: true, withFileTypes: true }).map((entry) =>
    join(entry.parentPath, entry.name),
  );
  // Data, logs and configuration of three servers.
  expect(inside.length).toBeGreaterThan(20);
  const open = [own, ...inside].filter((path) => (statSync(path).mode & 0o077) !== 0);
  expect(open).toEqual([]);
});

test('a parent that is killed leaves no server behind', async () => {
  const keeperFile = fileURLToPath(new URL('../../commands/keeper.js', import.meta.url));
  // The parent keeps a shell, which starts a child of its own and would live for a minute.
  const parentCode = `
    const { spawn } = require('node:child_process');
    const keeper = spawn(process.execPath, [${JSON.stringify(keeperFile)}, 'sh', '-c', 'sleep 61 & wait'],
      { detached: true, stdio: ['pipe', 'inherit', 'inherit', 'pipe'] });
    keeper.stdio[3].pipe(process.stdout);`;
  const parent = spawn(process.execPath, ['-e', parentCode], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = (await once(createInterface({ input: parent.stdout }), 'line')) as [string];
  const { pid } = JSON.parse(line) as { pid: number };
  expect(await groupOf(pid)).not.toEqual([]);

  parent.kill('SIGKILL');

  await expect.poll(() => groupOf(pid), { timeout: 5_000 }).toEqual([]);
});

async function groupOf(pid: number): Promise<string[]> {
  const { stdout } = await promisify(execFile)('ps', ['-eo', 'pgid=,stat=,args=']);
  return stdout
    .split('\n')
    .filter((line) => Number(line.trim().split(/\s+/)[0]) === pid && !/^\s*\d+\s+Z/.test(line));
}

async function listProcesses(pattern: string): Promise<string[]> {
  const { stdout } = await promisify(execFile)('ps', ['-eo', 'args=']);
  return stdout.split('\n').filter((line) => line.includes(pattern));
}
