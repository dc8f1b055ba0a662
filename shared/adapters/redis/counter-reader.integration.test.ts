import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { NOTHING_COUNTED } from '../../../tests/kit/nothing-counted.ts';
import { RecordedLog } from '../../../tests/kit/recorded-log.ts';
import type { SenderReport } from '../../domain/sender-report.ts';
import { RedisConnection } from './connection.ts';
import { RedisCounterReader } from './counter-reader.ts';
import { RedisCounterStore } from './counter-store.ts';

const prefix = `reader-${process.pid}-${Date.now().toString(36)}`;
const connection = new RedisConnection({ url: inject('servers').redisUrl, log: new RecordedLog() });

beforeAll(() => connection.open(60_000));
afterAll(() => connection.close());

test('an empty Redis has counters that are not valid, and nothing counted', async () => {
  expect(await new RedisCounterReader(connection, prefix).read()).toEqual({
    areValid: false,
    runs: new Map(),
    done: { counters: NOTHING_COUNTED, forgottenCount: 0, withInputConflict: [] },
    summedRuns: new Map(),
    lastTenSeconds: new Map(),
    lastMinute: new Map(),
    livingSenders: 0,
    silentSenders: 0,
    seenSenders: [],
    livingRecorders: 0,
    recordingTroubles: [],
    conflictingIds: [],
    throttled: 0,
    pausedUntilMs: undefined,
    memory: { usedBytes: expect.any(Number), maxBytes: 0, policy: 'noeviction' },
  });
});

test('a run of which little is known has zeros for the rest', async () => {
  const { redis, generation } = connection.session();
  await redis.set(`${prefix}-run:generation`, generation);
  await redis.sadd(`${prefix}-run:runs`, 'demo', 'gone');
  await redis.hset(`${prefix}-run:run:demo`, {
    announced: 5,
    'attempt:2': 3,
    'attempt:10': 0,
    maxLatenessMs: 12,
  });
  const reading = await new RedisCounterReader(connection, `${prefix}-run`).read();
  expect(reading.areValid).toBe(true);
  expect(reading.runs).toEqual(
    new Map([
      ['demo', { ...NOTHING_COUNTED, announced: 5, attemptsByNumber: new Map([[2, 3]]), maxLatenessMs: 12 }],
      ['gone', NOTHING_COUNTED],
    ]),
  );
});

test('what is recent is told by run, without the second that runs', async () => {
  const { redis } = connection.session();
  const own = `${prefix}-recent`;
  const second = Number((await redis.time())[0]);
  await redis.hset(`${own}:recent:${second - 2}`, { 'demo|attempts': 4, 'demo|sent': 3 });
  await redis.hset(`${own}:recent:${second - 1}`, { 'demo|attempts': 1, 'other|sent': 2 });
  await redis.hset(`${own}:recent:${second + 60}`, { 'demo|attempts': 1_000 });
  await redis.hset(`${own}:recent:${second - 30}`, {
    ...{ 'demo|attempts': 20, 'demo|attemptsFailed': 2 },
    ...{ 'demo|processing:7': 20, 'demo|lateness:3': 1 },
  });
  await redis.hset(`${own}:recent:${second - 62}`, { 'demo|attempts': 1_000 });
  await redis.hset(`${own}:troubles`, { sick: 'S3 does not answer', dead: 'S3 is away' });
  await redis.zadd(
    `${own}:alive`,
    second,
    'alive',
    second,
    'sick',
    second - 4,
    'late',
    second - 8,
    'killed',
    String(second - 60),
    'dead',
  );
  await redis.zadd(`${own}:recorders`, second, 'alive', second - 4.5, 'late', second - 60, 'sick');
  await redis.zadd(`${own}:recorders`, second - 8.5, 'killed');
  await redis.sadd(`${own}:conflicts`, 'b', 'a');
  const reading = await new RedisCounterReader(connection, own).read();
  expect(reading.lastTenSeconds).toEqual(
    new Map([
      ['demo', { ...NOTHING_COUNTED, attempts: 5, sent: 3 }],
      ['other', { ...NOTHING_COUNTED, sent: 2 }],
    ]),
  );
  expect(reading.lastMinute.get('demo')).toEqual({
    ...{ ...NOTHING_COUNTED, attempts: 25, attemptsFailed: 2, sent: 3 },
    ...{ processingBuckets: new Map([[7, 20]]), latenessBuckets: new Map([[3, 1]]) },
  });
  expect(reading.recordingTroubles).toEqual(['S3 does not answer']);
  const { livingSenders, silentSenders, livingRecorders } = reading;
  expect({ livingSenders, silentSenders, livingRecorders }).toEqual({
    ...{ livingSenders: 3, silentSenders: 1, livingRecorders: 2 },
  });
  expect(reading.conflictingIds).toEqual(['a', 'b']);
});

test('without a connection it says that Redis is unreachable', async () => {
  const closed = new RedisConnection({ url: 'redis://127.0.0.1:1', log: new RecordedLog() });
  await expect(new RedisCounterReader(closed, prefix).read()).rejects.toMatchObject({
    code: 'SERVER_UNREACHABLE',
  });
});

test('a sender tells of itself with its sign of life, and one of an older version is told by its id alone', async () => {
  const pipeline = `${prefix}-seen`;
  const { redis, generation } = connection.session();
  await redis.set(`${pipeline}:generation`, generation);
  const report = { host: 'one', inFlight: 7, attemptsPerSecond: 12.5 };
  const storeOf = (recorderId: string, describeSender?: () => SenderReport) =>
    new RedisCounterStore({
      ...{ connection, prefix: pipeline, recorderId, keepTimeMs: 60_000 },
      ...(describeSender === undefined ? {} : { describeSender }),
    });
  const [newer, older] = [storeOf('a', () => report), storeOf('b')];
  await newer.signalLife(true);
  await older.signalLife(true);
  const [second] = await redis.time();
  await redis.zadd(`${pipeline}:alive`, Number(second) - 9, 'c', Number(second) - 99, 'd');
  await redis.hset(`${pipeline}:reports`, 'c', '{"host":7}', 'd', '{}');
  const reader = new RedisCounterReader(connection, pipeline);
  const unknown = { host: null, inFlight: null, attemptsPerSecond: null };
  const { seenSenders, livingSenders, silentSenders } = await reader.read();
  expect(seenSenders).toEqual([
    { id: 'a', ...report, lastSeenSeconds: expect.any(Number) },
    { id: 'b', ...unknown, lastSeenSeconds: expect.any(Number) },
    { id: 'c', ...unknown, lastSeenSeconds: expect.any(Number) },
  ]);
  expect([livingSenders, silentSenders]).toEqual([2, 1]);
  await newer.leave();
  expect(await redis.hexists(`${pipeline}:reports`, 'a')).toBe(0);
  // Gone for an hour: forgotten with the next sign of life of another one.
  await redis.zadd(`${pipeline}:alive`, Number(second) - 3_700, 'd');
  await older.signalLife(true);
  expect(await redis.hkeys(`${pipeline}:reports`)).toEqual(['c']);
});
