import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { RecordedLog } from '../../../../tests/kit/recorded-log.ts';
import { GOING_WELL } from '../../../../tests/kit/snapshots.ts';
import { type HistorySample, MAX_SAMPLES, sampleOf } from '../../../domain/history.ts';
import { RedisConnection } from '../connection.ts';
import { redisKeysOf } from '../keys.ts';
import { RedisHistoryStore } from './history-store.ts';

const prefix = `history-${process.pid}-${Date.now().toString(36)}`;
const connection = new RedisConnection({ url: inject('servers').redisUrl, log: new RecordedLog() });
const key = redisKeysOf(prefix).history;
const sample = (sent: number): HistorySample => ({ ...sampleOf(GOING_WELL), sent });

beforeAll(() => connection.open(10_000));
afterAll(async () => {
  await connection.session().redis.del(key);
  connection.close();
});

test('several monitors keep one sample each 5 s together, at most those of an hour, and forget them', async () => {
  const [one, other] = [new RedisHistoryStore(connection, prefix), new RedisHistoryStore(connection, prefix)];
  const { redis } = connection.session();
  expect(await one.read()).toEqual([]);
  expect(await Promise.all([one.keep(sample(1)), other.keep(sample(2))])).toEqual([true, false]);
  // As if 5 s had passed: the time of Redis stands before the text.
  const age = async (seconds: number) => {
    const [newest = ''] = await redis.lrange(key, 0, 0);
    const [second = ''] = newest.split(' ');
    await redis.lset(key, 0, newest.replace(second, String(Number(second) - seconds)));
  };
  await age(4);
  expect(await one.keep(sample(3))).toBe(false);
  await age(2);
  expect(await other.keep(sample(4))).toBe(true);
  expect((await one.read()).map(({ sent }) => sent)).toEqual([1, 4]);
  // The clock of Redis was set back: the newest sample is of the future.
  await age(-100);
  expect(await one.keep(sample(5))).toBe(true);
  await redis.rpush(key, ...Array.from({ length: MAX_SAMPLES }, () => '1 {}'));
  await age(10);
  expect(await one.keep(sample(6))).toBe(true);
  expect(await redis.llen(key)).toBe(MAX_SAMPLES);
  expect(await redis.ttl(key)).toBeGreaterThan(3_590);
  expect((await other.read()).map(({ sent }) => sent)).toEqual([1, 4, 5, 6]);
});

test('a sample that is too large is not kept, and what others wrote there is passed over', async () => {
  const store = new RedisHistoryStore(connection, `${prefix}-b`);
  const retry = Array.from({ length: 200 }, (_, index): [number, number, number] => [index, 31_536_000, 1e9]);
  expect(await store.keep({ ...sample(1), retry })).toBe(false);
  await connection.session().redis.rpush(redisKeysOf(`${prefix}-b`).history, 'nonsense', '1 <img>', '');
  expect(await store.read()).toEqual([]);
  await connection.session().redis.del(redisKeysOf(`${prefix}-b`).history);
});
