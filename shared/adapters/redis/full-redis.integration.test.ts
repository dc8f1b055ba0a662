/** A Redis that is full, or that would drop keys when it is. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type PrivateRedis, startPrivateRedis } from '../../../scripts/servers/private/private-redis.ts';
import { RecordedLog } from '../../../tests/kit/recorded-log.ts';
import { waitFor } from '../../../tests/kit/wait-for.ts';
import type { CounterEntry } from '../../ports/counter-store.ts';
import { RedisConnection } from './connection.ts';
import { RedisCounterReader } from './counter-reader.ts';
import { RedisCounterStore } from './counter-store.ts';

const folder = mkdtempSync(join(tmpdir(), 'redial-full-'));
const ATTEMPT: CounterEntry = {
  kind: 'attempt',
  smsId: 'a-1',
  run: 'demo',
  attempt: { attempt: 1, startedAt: '2026-11-22T10:00:00.000Z', tookMs: 5, result: 'sent' },
};

let server: PrivateRedis;
let connection: RedisConnection;
let reader: RedisCounterReader;
let counters: RedisCounterStore;

beforeAll(async () => {
  server = await startPrivateRedis({ folder, path: process.env.PATH ?? '' });
  connection = new RedisConnection({ url: server.url, log: new RecordedLog() });
  await connection.open(60_000);
  reader = new RedisCounterReader(connection, 'sms');
  counters = new RedisCounterStore({ connection, prefix: 'sms', recorderId: 'r1', keepTimeMs: 60_000 });
  await counters.beginRebuild();
  await counters.endRebuild();
});

afterAll(async () => {
  connection.close();
  await server.stop({ signal: 'SIGKILL' });
  rmSync(folder, { recursive: true, force: true });
});

const configure = (name: string, value: string) => connection.session().redis.config('SET', name, value);

test('that is full can still be read, and takes what it refused once there is room', async () => {
  await configure('maxmemory', '4mb');
  const { redis } = connection.session();
  const fill = async (bytes: number) => {
    for (let index = 0; ; index += 1) await redis.set(`other:${bytes}:${index}`, 'x'.repeat(bytes));
  };
  // A value that is refused leaves the room that it would have taken.
  for (const bytes of [50_000, 1_000, 10]) await expect(fill(bytes)).rejects.toThrow('OOM');
  await expect(counters.record([ATTEMPT])).rejects.toThrow('Redis is full');
  await waitFor('the reading to tell that it is full', async () => {
    const { memory, areValid } = await reader.read();
    return areValid && memory.usedBytes >= 0.99 * memory.maxBytes && memory.maxBytes === 4 * 2 ** 20;
  });
  await configure('maxmemory', '0');
  await counters.record([ATTEMPT]);
  expect((await reader.read()).runs.get('demo')?.attempts).toBe(1);
});

test('that drops keys when it is full is not counted in, and is again once it keeps them', async () => {
  await configure('maxmemory-policy', 'allkeys-random');
  await waitFor('the policy to be noticed', () =>
    counters.signalLife(true).then(
      () => false,
      (error: Error) => error.message.includes('maxmemory-policy allkeys-random'),
    ),
  );
  await expect(counters.record([ATTEMPT])).rejects.toMatchObject({ isRefusal: true });
  expect((await reader.read()).memory.policy).toBe('allkeys-random');
  await configure('maxmemory-policy', 'noeviction');
  await waitFor('the policy to be noticed', () =>
    counters.signalLife(true).then(
      () => true,
      () => false,
    ),
  );
});
