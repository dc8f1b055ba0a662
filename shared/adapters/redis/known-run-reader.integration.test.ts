import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { RealStores } from '../../testing/real-stores.ts';
import { RecordedLog } from '../../testing/recorded-log.ts';
import { startMonotonousServer } from '../../testing/tcp-proxy.ts';
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
  const nothing = { announced: 0, acceptedUpTo: 0, input: undefined, hasInputConflict: false, met: 0 };
  expect(await reader().read('demo')).toEqual(nothing);

  const announcement = { run: 'demo', queue: prefix, input: 'generated', at: '2026-11-22T10:00:00.000Z' };
  for (const accepted of [7, 5])
    await counters.record([
      { kind: 'accepted', announcement: { ...announcement, accepted, acceptedUpTo: accepted - 1 } },
    ]);
  const told = { announced: 7, acceptedUpTo: 6, input: 'generated', hasInputConflict: false, met: 0 };
  expect(await reader().read('demo')).toEqual(told);

  await counters.record([
    { kind: 'accepted', announcement: { ...announcement, accepted: 1, acceptedUpTo: 1, input: 'file:a' } },
  ]);
  expect(await reader().read('demo')).toEqual({ ...told, hasInputConflict: true });
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
    expect(Date.now() - startedAtMs).toBeLessThan(2_000);
  }
  await silent.close();
});
