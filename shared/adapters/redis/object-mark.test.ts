import { array, constantFrom, integer, tuple } from 'fast-check';
import { expect, test } from 'vitest';
import { forAll } from '../../../tests/kit/for-all.ts';
import { outcomeObjectId } from '../../domain/outcome/outcome-object.ts';
import { objectMarkOf } from './object-mark.ts';

const TIMES = integer({ min: Date.UTC(2020, 0, 1), max: Date.UTC(2058, 0, 1) });
const RECORDERS = array(constantFrom(...'0123456789abcdef'), { minLength: 10, maxLength: 10 }).map((digits) =>
  digits.join(''),
);
const OBJECTS = tuple(TIMES, RECORDERS, integer({ min: 1, max: 999_999 }));

test('an object is marked by when it was opened and by two letters of who opened it', () => {
  const openedAtMs = Date.UTC(2026, 10, 22, 10, 15, 30, 123);
  expect(objectMarkOf(outcomeObjectId(openedAtMs, '0a1b2c3d4e', 12))).toBe('mwrol64r0a');
});

test('marks order as the ids of objects do', () => {
  forAll(OBJECTS, OBJECTS, integer({ min: -3, max: 3 }), (one, other, apartMs) => {
    const ids = [one, [one[0] + apartMs, other[1], other[2]] as const, other].map((of) =>
      outcomeObjectId(...of),
    );
    const byId = [...ids].sort().map(objectMarkOf);
    expect(byId).toEqual([...byId].sort());
  });
});

test('marks of one length order as they are told, also before 1972', () => {
  expect(objectMarkOf(outcomeObjectId(0, 'aa', 1))).toBe('00000000aa');
});

test.each(['', 'o', '20261122T101530123Z', 'mwrol64r0a'])('"%s" is no object and has no mark', (text) => {
  expect(objectMarkOf(text)).toBe('');
});
