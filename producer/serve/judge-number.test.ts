import fc from 'fast-check';
import { getCountries, getCountryCallingCode, isPossiblePhoneNumber } from 'libphonenumber-js/min';
import { expect, test } from 'vitest';
import { forAll } from '../../tests/kit/for-all.ts';
import { judgePossible } from './judge-number.ts';

const codes = [
  ...new Set(getCountries().map((country) => getCountryCallingCode(country) as string)),
  '870',
  '999',
  '21',
];
const digits = fc
  .array(fc.integer({ min: 0, max: 9 }), { minLength: 5, maxLength: 12 })
  .map((each) => each.join(''));

test('whatever the number, the library says the same of it', () => {
  const numbers = fc
    .tuple(fc.constantFrom(...codes), fc.constantFrom('', '0', '1', '00'), digits)
    .map((parts) => `+${parts.join('')}`.slice(0, 16));
  fc.configureGlobal({ numRuns: 3_000 });
  forAll(numbers, (to) => (judgePossible(to) === undefined) === isPossiblePhoneNumber(to));
  fc.resetConfigureGlobal();
  // Countries that share a code, and not the lengths of their numbers.
  for (const to of ['+29083779', '+59930224449']) expect(judgePossible(to)).toBeDefined();
});

test('what is wrong with a number is told with its country', () => {
  expect(judgePossible('+49151')).toBe('is not a possible number for +49');
  expect(judgePossible('+999123456789')).toBe('is not a number of any country');
  expect(judgePossible('+4915112345678')).toBeUndefined();
});
