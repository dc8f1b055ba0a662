import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { startMonotonousServer } from '../../../tests/kit/rabbitmq/tcp-proxy.ts';
import { RecordedLog } from '../../../tests/kit/recorded-log.ts';
import { RealStores } from '../../../tests/kit/stores/real-stores.ts';
import { RedisKnownRunReader } from './known-run-reader.ts';

const servers = inject('servers');
const stores = new RealStores(servers);
const prefix = `known-${process.pid}-${Date.now().toString(36)}`;

beforeAll(() => stores.open());
afterAll(() => stores.close());

function reader(url = servers.redisUrl): RedisKnownRunReader {
  return new RedisKnownRunReader({ url, prefix, deadlineMs: 1_000, log: new RecordedLog() });
}

test('what a run announced is told, of each number the largest; of a run that announced nothing, zeros', async () => {
  await expect(reader().read('demo')).rejects.toMatchObject({ code: 'COUNTERS_LOST' });
  const counters = stores.counters(prefix, 'a');
  expect(await counters.beginRebuild()).toBe('mine');
  await expect(reader().read('demo')).rejects.toMatchObject({ code: 'COUNTERS_LOST' });
  await counters.endRebuild();
  const numbers = { announced: 0, acceptedUpTo: 0, met: 0 };
  const nothing = { ...numbers, input: undefined, announcedAtSeconds: undefined, hasInputConflict: false };
  expect(await reader().read('demo')).toEqual(nothing);

  const announcement = { run: 'demo', queue: prefix, input: 'generated', at: '2026-11-22T10:00:00.000Z' };
  for (const accepted of [7, 5])
    await counters.record([
      { kind: 'accepted', announcement: { ...announcement, accepted, acceptedUpTo: accepted - 1 } },
    ]);
  const told = { announced: 7, acceptedUpTo: 6, input: 'generated', hasInputConflict: false, met: 0 };
  const known = await reader().read('demo');
  expect(known).toEqual({ ...told, announcedAtSeconds: expect.any(Number) });
  const second = Number(((await stores.command('TIME')) as string[])[0]);
  expect(Math.abs((known.announcedAtSeconds ?? 0) - second)).toBeLessThan(10);

  await counters.record([
    { kind: 'accepted', announcement: { ...announcement, accepted: 1, acceptedUpTo: 1, input: 'file:a' } },
  ]);
  expect(await reader().read('demo')).toEqual({ ...known, hasInputConflict: true });
});

test('an SMS that was met is told, and is no announcement', async () => {
  await stores.command('HSET', `${prefix}:run:met`, 'met', 3);
  expect(await reader().read('met')).toMatchObject({ announced: 0, input: undefined, met: 3 });
});

test('a Redis that is away or says nothing is told as such within the deadline', async () => {
  const silent = await startMonotonousServer();
  for (const url of ['redis://127.0.0.1:1', `redis://127.0.0.1:${silent.port}`]) {
    const startedAtMs = Date.now();
    await expect(reader(url).read('demo')).rejects.toMatchObject({ code: 'SERVER_UNREACHABLE' });
    expect(Date.now() - startedAtMs).toBeLessThan(10_000);
  }
  await silent.close();
});
