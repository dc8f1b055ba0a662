import { describe, expect, test } from 'vitest';
import { batchSizeOf, isStopped } from './batches.ts';
import { judgeRedrive } from './redrive-options.ts';

const NOW_MS = Date.parse('2026-11-29T10:00:00Z');

test('the options of a redrive are read', () => {
  const values = {
    ...{ status: 'failed', reason: 'timeout', since: '2h', until: '2026-11-29T10:30:00+01:00', to: '+1555*' },
    ...{ runOf: 'may', run: 'again', max: '5000', rate: '2.5', dryRun: true },
  };
  expect(judgeRedrive(values, NOW_MS)).toEqual({
    selection: {
      ...{ status: 'failed', reason: 'timeout', sinceMs: NOW_MS - 7_200_000, untilMs: NOW_MS - 1_800_000 },
      ...{ to: /^\+1555\d*$/, runOf: 'may' },
    },
    ...{ run: 'again', maxSms: 5_000, smsPerSecond: 2.5, isDryRun: true },
  });
});

describe('refused is', () => {
  test.each([
    [{ status: undefined }, '--status must be failed or parked, got ""'],
    [{ status: 'sent' }, '--status must be failed or parked, got "sent"'],
    [{ since: 'yesterday' }, '--since must be a time'],
    [{ until: '2026-02-30T00:00:00Z' }, '--until must be a time'],
    [{ to: '1555' }, '--to must be a phone number with * for any digits'],
    [{ status: 'parked', to: '+1*' }, '--to cannot be used with --status parked'],
    [{ run: 'a b' }, '--run must be 1 to 64 letters'],
    [{ max: '0' }, '--max must be a whole number above 0'],
    [{ rate: '-1' }, '--rate must be a number above 0'],
    [{ reason: '' }, '--reason must be the reason of an outcome'],
  ])('%j', (values, sentence) => {
    expect(() => judgeRedrive({ status: 'failed', ...values }, NOW_MS)).toThrow(sentence);
  });
});

test('batches grow, and one at a slow rate is sent within ten minutes', () => {
  const sizes = [0, 1, 2, 3, 4, 5, 6, 7, 8];
  expect(sizes.map((index) => batchSizeOf(index, undefined))).toEqual([
    1, 2, 5, 20, 100, 500, 2_000, 5_000, 5_000,
  ]);
  expect(sizes.map((index) => batchSizeOf(index, 0.1))).toEqual([1, 2, 5, 20, 60, 60, 60, 60, 60]);
  expect(batchSizeOf(8, 0.0001)).toBe(1);
});

test('more than half is too many', () => {
  expect([isStopped(1, 1), isStopped(1, 2), isStopped(2, 2), isStopped(50, 100), isStopped(51, 100)]).toEqual(
    [...[true, false, true, false, true]],
  );
});
