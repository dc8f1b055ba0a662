import fc from 'fast-check';
import { expect, it } from 'vitest';
import { forAll } from '../../../tests/kit/for-all.ts';
import { SeenIds } from './seen-ids.ts';

const CHARACTERS = [...'ABab019._:-'];
const id = fc.oneof(
  fc.integer({ min: 0, max: 60 }).map((number) => `customer-${number}`),
  fc.string({ unit: fc.constantFrom(...CHARACTERS), minLength: 1, maxLength: 128 }),
);

it('an id is told with the line that it was on first, as by a Map', () => {
  forAll(fc.array(id, { maxLength: 400 }), (ids) => {
    const seen = new SeenIds();
    const lines = new Map<string, number>();
    return ids.every((each, index) => {
      const known = lines.get(each);
      if (known === undefined) lines.set(each, index + 1);
      return seen.meet(each, index + 1) === known;
    });
  });
});

it('200,000 ids that differ in a digit are all told apart, and all found again', () => {
  const seen = new SeenIds();
  const idOf = (number: number) => `order-${String(number).padStart(9, '0')}`;
  const numbers = Array.from({ length: 200_000 }, (_, index) => index + 1);
  expect(numbers.filter((number) => seen.meet(idOf(number), number) !== undefined)).toEqual([]);
  expect(numbers.filter((number) => seen.meet(idOf(number), 1) !== number)).toEqual([]);
});

it('an id is not the one that it begins with', () => {
  const seen = new SeenIds();
  expect([seen.meet('a', 1), seen.meet('aa', 2), seen.meet('aaa', 3)]).toEqual([
    undefined,
    undefined,
    undefined,
  ]);
});
