import { expect, test } from 'vitest';
import {
  type AttemptRecord,
  isAttemptRecord,
  isAttemptSequence,
  isKnownResult,
  readableReason,
  rebuiltAttempt,
} from './attempt.ts';

const record = { attempt: 1, startedAt: '2026-11-22T10:00:00.000Z', tookMs: 512, result: 'sent' };
const failed = (attempt: number): AttemptRecord => ({
  ...record,
  attempt,
  result: 'failed',
  reason: 'timeout',
});
const sent = (attempt: number): AttemptRecord => ({ ...record, attempt, result: 'sent' });

test.each([
  ['the least there is', {}, true],
  ['late', { lateMs: 6 }, true],
  ['early, after a step of the clock', { lateMs: -6 }, true],
  ['failed for a reason', { result: 'failed', reason: 'timeout' }, true],
  ['no attempt number', { attempt: undefined }, false],
  ['a fractional attempt', { attempt: 1.5 }, false],
  ['a negative attempt', { attempt: -1 }, false],
  ['an attempt as text', { attempt: '1' }, false],
  ['a start that is no time', { startedAt: 'yesterday' }, false],
  ['a start as number', { startedAt: 1 }, false],
  ['a negative time taken', { tookMs: -1 }, false],
  ['an endless time taken', { tookMs: Number.POSITIVE_INFINITY }, false],
  ['a fractional lateness', { lateMs: 0.5 }, false],
  ['a result that a newer version may know', { result: 'maybe' }, true],
  ['a result that is no word', { result: 'May be' }, false],
  ['a result as number', { result: 1 }, false],
  ['a reason that is no text', { reason: {} }, false],
  ['a reason too long to be believed', { reason: 'x'.repeat(201) }, false],
])('an attempt record with %s: %o is one: %s', (_, change, isOne) => {
  expect(isAttemptRecord({ ...record, ...change })).toBe(isOne);
});

test.each([null, undefined, 'text', 7, []])('%j is no attempt record', (value) => {
  expect(isAttemptRecord(value)).toBe(false);
});

test.each([
  ['nothing yet', [], true],
  ['sent at once', [sent(1)], true],
  ['failed, then sent', [failed(1), sent(2)], true],
  ['given up', [failed(1), failed(2)], true],
  ['a gap', [failed(1), failed(3)], false],
  ['no first attempt', [failed(2)], false],
  ['the same attempt twice', [failed(1), failed(1)], false],
  ['out of order', [failed(2), failed(1)], false],
  ['an attempt after a success', [sent(1), failed(2)], false],
])('attempts of an SMS, %s: %o', (_, records, isSequence) => {
  expect(isAttemptSequence(records)).toBe(isSequence);
});

test('only results that this version counts are known', () => {
  expect([sent(1), failed(1), { ...record, result: 'deferred' }].map(isKnownResult)).toEqual([
    true,
    true,
    false,
  ]);
});

test('a record is rebuilt from what was looked at: flat fields of a newer version stay, nesting goes', () => {
  const newer = { ...failed(2), lateMs: 3, gateway: 'north', cost: 0.05, isFinal: false };
  expect(rebuiltAttempt(newer)).toEqual(newer);
  const nested = { ...newer, deep: { a: [1] }, list: [], nothing: null, long: 'x'.repeat(65) };
  expect(rebuiltAttempt(nested)).toEqual(newer);
  expect(JSON.stringify(rebuiltAttempt(JSON.parse('{"__proto__":1,"attempt":1}')))).not.toContain('proto');
});

test('a reason is cut, and holds nothing that a terminal obeys or that is no Unicode', () => {
  expect(readableReason(`busy\u001b[2J\u0007\ud800${'x'.repeat(300)}`)).toBe(
    `busy [2J \ufffd${'x'.repeat(190)}`,
  );
});
