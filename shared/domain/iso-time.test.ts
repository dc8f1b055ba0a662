import { array, constantFrom, integer, oneof, string, tuple } from 'fast-check';
import { expect, test } from 'vitest';
import { forAll } from '../../tests/kit/for-all.ts';
import { isoTime, microsecondOf, timeOf } from './iso-time.ts';

const aroundNow = integer({ min: 1_763_805_600_000, max: 1_763_805_605_000 });
const anyTime = integer({ min: -8.64e15, max: 8.64e15 });

test('is what Date says, asked for the first time and again', () => {
  forAll(oneof(aroundNow, anyTime), (timeMs) => {
    expect(isoTime(timeMs)).toBe(new Date(timeMs).toISOString());
    expect(isoTime(timeMs)).toBe(new Date(timeMs).toISOString());
  });
});

test('a number that is no time is refused, as Date does', () => {
  for (const timeMs of [Number.NaN, 8.64e15 + 1, Infinity]) expect(() => isoTime(timeMs)).toThrow(RangeError);
  expect(isoTime(0)).toBe('1970-01-01T00:00:00.000Z');
});

test('microseconds are told where there are some, and read again', () => {
  expect(isoTime(1_763_805_600_123, 7)).toBe('2025-11-22T10:00:00.123007Z');
  forAll(tuple(aroundNow, integer({ min: 0, max: 999 })), ([timeMs, microsecond]) => {
    const text = isoTime(timeMs, microsecond);
    expect([timeOf(text), microsecondOf(text)]).toEqual([timeMs, microsecond]);
  });
});

test('a text is read as Date reads it, whatever was read before', () => {
  const precise = tuple(aroundNow, integer({ min: 0, max: 999 })).map(([timeMs, of]) => isoTime(timeMs, of));
  const odd = constantFrom(
    '',
    '2026-02-30T00:00:00.000Z',
    '2026',
    '2026-11-22T10:00:00.00012xZ',
    '+275760-09-13T00:00:00.123Z',
    `${'9'.repeat(26)}Z`,
  );
  const text = oneof(
    precise,
    anyTime.map((timeMs) => isoTime(timeMs)),
    string(),
    odd,
  );
  forAll(array(text), (texts) => {
    const again = texts.flatMap((each) => [each, each]);
    expect(again.map(timeOf)).toEqual(again.map((each) => Date.parse(each)));
  });
  expect([timeOf(''), timeOf(isoTime(0))]).toEqual([Number.NaN, 0]);
});
