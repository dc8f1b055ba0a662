import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { RecordedLog } from '../../../../tests/kit/recorded-log.ts';
import { MemoryStartMarks } from '../../../../tests/kit/stores/memory-start-marks.ts';
import { RedisConnection } from '../connection.ts';
import { RedisStartMarks } from './start-marks.ts';

const connection = new RedisConnection({ url: inject('servers').redisUrl, log: new RecordedLog() });
beforeAll(() => connection.open(60_000));
afterAll(() => connection.close());

test.each([
  ['Redis', () => new RedisStartMarks(connection, `marks-${process.pid}-${Date.now()}`)],
  ['the one in memory', () => new MemoryStartMarks()],
])('%s counts the starts of each SMS until it has come to an end', async (_, create) => {
  const marks = create();
  expect(await marks.unendedStarts('a')).toBe(0);
  await marks.begin('a');
  await marks.begin('a');
  await marks.begin('b');
  expect([await marks.unendedStarts('a'), await marks.unendedStarts('b')]).toEqual([2, 1]);
  await marks.end('a');
  expect([await marks.unendedStarts('a'), await marks.unendedStarts('b')]).toEqual([0, 1]);
});

test('marks that cannot be asked say so, and never hang', async () => {
  const away = new RedisConnection({ url: 'redis://127.0.0.1:1', log: new RecordedLog() });
  await expect(new RedisStartMarks(away, 'nowhere').unendedStarts('a')).rejects.toThrow('Redis did not mark');
});
