import { describe, expect, test } from 'vitest';
import type { OutcomeRecord } from '../../../shared/domain/outcome/outcome.ts';
import { isSelected, parseNumberPattern, type Selection } from './selection.ts';

describe('the pattern of a phone number', () => {
  test.each([
    ['+15550100001', '+15550100001', true],
    ['+15550100001', '+155501000012', false],
    ['+1555*', '+15550100001', true],
    ['+1555*', '+49155501000', false],
    ['+1*01', '+15550100001', true],
    ['*0001', '+15550100001', true],
    ['*0001', '+15550100002', false],
    ['*', '+15550100001', true],
    ['+***1*', '+15550100001', true],
  ])('%s and %s: %s', (pattern, to, isMatch) => {
    expect(parseNumberPattern(pattern)?.test(to)).toBe(isMatch);
  });

  test.each(['', '+', '1555*', '+1555?', '+1 555', '+1555.', `+${'1'.repeat(40)}`])(
    '"%s" is none',
    (text) => {
      expect(parseNumberPattern(text)).toBeUndefined();
    },
  );
});

const record: OutcomeRecord = {
  ...{ smsId: 'a-1', run: 'a', queue: 'sms', to: '+15550100001', text: 'x', status: 'failed' },
  ...{
    reason: 'timeout',
    acceptedAt: '2026-11-29T09:00:00Z',
    finishedAt: '2026-11-29T10:00:00.000Z',
    attempts: [],
  },
};
const all: Selection = {
  ...{ status: 'failed', reason: undefined, sinceMs: undefined, untilMs: undefined },
  ...{ to: undefined, runOf: undefined },
};
const atMs = Date.parse(record.finishedAt);

describe('an outcome is selected', () => {
  test.each<[string, Partial<Selection>, boolean]>([
    ['by its status alone', {}, true],
    ['not with another status', { status: 'parked' }, false],
    ['with exactly its reason', { reason: 'timeout' }, true],
    ['not with a part of its reason', { reason: 'time' }, false],
    ['at the moment since', { sinceMs: atMs }, true],
    ['not before it', { sinceMs: atMs + 1 }, false],
    ['before the moment until', { untilMs: atMs + 1 }, true],
    ['not at it', { untilMs: atMs }, false],
    ['of its run', { runOf: 'a' }, true],
    ['not of another run', { runOf: 'b' }, false],
    ['with its number', { to: /^\+1555/ }, true],
    ['not with another number', { to: /^\+49/ }, false],
  ])('%s', (_, more, isIn) => expect(isSelected(record, { ...all, ...more })).toBe(isIn));
});
