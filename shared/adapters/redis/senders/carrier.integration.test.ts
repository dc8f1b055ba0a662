import { afterAll, beforeAll, beforeEach, expect, inject, test } from 'vitest';
import { RecordedLog } from '../../../../tests/kit/recorded-log.ts';
import { waitFor } from '../../../../tests/kit/wait-for.ts';
import { RedisConnection } from '../connection.ts';
import { RedisCounterStore } from '../counter-store.ts';
import { redisKeysOf } from '../keys.ts';
import { RedisCarrier } from './carrier.ts';

const connection = new RedisConnection({ url: inject('servers').redisUrl, log: new RecordedLog() });
let prefix: string;
let count = 0;
const carrierOf = (senderId: string) => new RedisCarrier(connection, prefix, senderId);
const redis = () => connection.session().redis;

beforeAll(() => connection.open(60_000));
afterAll(() => connection.close());
beforeEach(() => {
  count += 1;
  prefix = `carrier-${process.pid}-${Date.now()}-${count}`;
});

test('a pause is known to all senders, by the clock of Redis, and only a later end replaces it', async () => {
  const [own, other] = [carrierOf('a'), carrierOf('b')];
  expect(await other.exchange(0, 0)).toBe(0);
  expect(await own.exchange(60_000.5, 0)).toBe(60_001);
  expect(await own.exchange(20_000, 0)).toBeGreaterThan(50_000);
  const { pause } = redisKeysOf(prefix);
  const [second] = await redis().time();
  const until = Number(await redis().get(pause));
  expect(until).toBeGreaterThan(Number(second) * 1_000 + 50_000);
  expect(until).toBeLessThan(Number(second) * 1_000 + 62_000);
  expect(await other.exchange(90_000, 0)).toBe(90_000);
  expect(Number(await redis().get(pause))).toBeGreaterThan(until);
  await redis().pexpire(pause, 1);
  await waitFor('the pause to end', async () => (await own.exchange(0, 0)) === 0);
});

test('how often a sender was throttled is told as its own number, which may be told again', async () => {
  const [own, other] = [carrierOf('a'), carrierOf('b')];
  for (const told of [3, 3, 5]) await own.exchange(0, told);
  await other.exchange(0, 2);
  await other.exchange(0, 0);
  expect(await redis().hgetall(redisKeysOf(prefix).throttled)).toEqual({ a: '5', b: '2' });
});

test('both survive a rebuild of the counters', async () => {
  await carrierOf('a').exchange(60_000, 3);
  const counters = new RedisCounterStore({ connection, prefix, recorderId: 'a', keepTimeMs: 60_000 });
  expect(await counters.beginRebuild()).toBe('mine');
  expect(await carrierOf('a').exchange(0, 0)).toBeGreaterThan(50_000);
  expect(await redis().hgetall(redisKeysOf(prefix).throttled)).toEqual({ a: '3' });
});

test('senders share what the carrier takes within a second; then it fills up to a tenth', async () => {
  const carriers = [carrierOf('a'), carrierOf('b')];
  const answers: number[] = [];
  for (let time = 0; time < 60; time += 1)
    answers.push(...(await Promise.all(carriers.map((carrier) => carrier.takePlace(10)))));
  const taken = answers.filter((waitMs) => waitMs === 0).length;
  const seconds = 5;
  expect(taken).toBeGreaterThanOrEqual(10);
  expect(taken).toBeLessThan(10 + 10 * seconds);
  const waits = answers.filter((waitMs) => waitMs > 0);
  expect(waits.length).toBeGreaterThan(0);
  expect(Math.max(...waits)).toBeLessThanOrEqual(100);
});

test('a carrier of less than one SMS a second takes one at a time', async () => {
  const carrier = carrierOf('a');
  expect(await carrier.takePlace(0.001)).toBe(0);
  expect(await carrier.takePlace(0.001)).toBeGreaterThan(900_000);
  expect(await redis().pttl(redisKeysOf(prefix).capacity)).toBeGreaterThan(900_000);
});

test('without Redis a call rejects and never hangs', async () => {
  const away = new RedisConnection({ url: 'redis://127.0.0.1:1', log: new RecordedLog() });
  const carrier = new RedisCarrier(away, 'nowhere', 'a');
  await expect(carrier.exchange(1, 1)).rejects.toThrow('did not answer');
  await expect(carrier.takePlace(1)).rejects.toThrow('did not answer');
});
