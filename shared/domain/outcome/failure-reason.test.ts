import { expect, test } from 'vitest';
import {
  countedReasonOf,
  MAX_NAMED_REASONS,
  nameOfReason,
  OTHER_REASONS,
  reasonsOf,
} from './failure-reason.ts';

test.each([
  ['carrier unavailable', 'carrier unavailable'],
  ['no route; try | later,\nor never', 'no route  try   later  or never'],
  ['x'.repeat(90), 'x'.repeat(64)],
  [`${'x'.repeat(63)}🙂`, `${'x'.repeat(63)}�`],
])('%j is counted as %j', (reason, counted) =>
  expect(countedReasonOf({ status: 'failed', reason })).toBe(counted),
);

test('an SMS that did not fail, or fails without a reason, is counted for none', () => {
  expect(countedReasonOf({ status: 'parked', reason: 'body is not JSON' })).toBeUndefined();
  expect(countedReasonOf({ status: 'failed', reason: '' })).toBeUndefined();
  expect(countedReasonOf({ status: 'failed' })).toBeUndefined();
});

test('beyond the first reasons of carriers all are counted together, but for our own', () => {
  const named = new Set<string>();
  for (let code = 1; code <= MAX_NAMED_REASONS; code += 1)
    expect(nameOfReason(`code ${code}`, named)).toBe(`code ${code}`);
  expect(nameOfReason('one more', named)).toBe(OTHER_REASONS);
  expect(nameOfReason('code 7', named)).toBe('code 7');
  expect(nameOfReason('expired', named)).toBe('expired');
});

test.each<[string, number, [string, number][], [string, number][]]>([
  [
    'the most frequent first',
    5,
    [
      ['timeout', 2],
      ['expired', 3],
    ],
    [
      ['expired', 3],
      ['timeout', 2],
    ],
  ],
  [
    'alike ones by name',
    4,
    [
      ['b', 2],
      ['a', 2],
    ],
    [
      ['a', 2],
      ['b', 2],
    ],
  ],
  [
    'what was taken back left out',
    1,
    [
      ['b', 0],
      ['a', 1],
    ],
    [['a', 1]],
  ],
  [
    'what nobody noted told too',
    9,
    [['a', 1]],
    [
      ['reason not recorded', 8],
      ['a', 1],
    ],
  ],
])('reasons are told with %s', (_, failed, counts, told) => {
  expect(reasonsOf(failed, new Map(counts))).toEqual(told);
});
