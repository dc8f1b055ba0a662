import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { RecordedLog } from '../../../../tests/kit/recorded-log.ts';
import { RedisConnection } from '../connection.ts';
import { redisKeysOf } from '../keys.ts';
import { RedisDirectiveStore } from './directive-store.ts';

const connection = new RedisConnection({ url: inject('servers').redisUrl, log: new RecordedLog() });
beforeAll(() => connection.open(60_000));
afterAll(() => connection.close());

test('directives keep their numbers, and are forgotten once their SMS has ended and KEEP_TIME is over', async () => {
  const prefix = `directives-${process.pid}-${Date.now()}`;
  const keys = redisKeysOf(prefix);
  const { redis } = connection.session();
  const store = new RedisDirectiveStore(connection, prefix, 'epoch');
  expect(await store.give(['cancel|a-1', 'cancel|a-2', 'send-now|a-3|2', 'cancel|a-4'])).toBe(4);
  expect(await store.give(['cancel|a-2', 'cancel-run|b'])).toBe(5);
  const read = await store.read(4);
  expect(read).toMatchObject({ last: 5, count: 5, texts: ['cancel-run|b'] });
  expect(await store.countKnowing(5)).toBe(0);
  await store.acknowledge('s', read);
  expect([await store.countKnowing(5), await store.countKnowing(6)]).toEqual([1, 0]);
  await redis.set(keys.sms('a-1'), 's||mark|f|89abcdef|1:mwro18g0:1234::f|');
  await redis.set(keys.sms('a-2'), 'p|a||||1:mwro18g0:1234::f|');
  await redis.set(keys.sms('a-3'), 's||mark|s|89abcdef|1:mwro18g0:1234::s|');
  expect(await store.statesOf(['a-1', 'a-2', 'a-3', 'a-4'])).toEqual([
    ...['failed', 'in progress', 'sent', undefined],
  ]);
  await redis.sadd(keys.runs, 'b');
  await store.forget(60_000);
  const { texts: all } = await store.read(0);
  expect(all.length).toBe(5);
  // As if KEEP_TIME had passed; a-4 was never met, and may still wait.
  for (const text of all) await redis.zincrby(keys.directivesGiven, -100, text);
  await store.forget(60_000);
  expect((await store.read(0)).texts).toEqual(['cancel|a-2', 'cancel|a-4', 'cancel-run|b']);
  await redis.zincrby(keys.directivesGiven, -1_800, 'cancel|a-4');
  await store.forget(60_000);
  expect((await store.read(0)).texts).toEqual(['cancel|a-2', 'cancel-run|b']);
});
