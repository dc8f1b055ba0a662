import { expect, test } from 'vitest';
import { makePlain } from './foreign-headers.ts';

test.each([
  ['a number that is none', { '!': 'double', value: 'x' }, { value: 'x' }],
  ['a number that is nested', { '!': 'float', value: [1, 2] }, { value: [1, 2] }],
  ['a moment that is a text', { '!': 'timestamp', value: '5' }, { value: '5' }],
  ['a decimal without digits', { '!': 'decimal', value: { places: 1 } }, { value: { places: 1 } }],
  ['a type that is bytes', { '!': Buffer.from('int') }, {}],
  ['a moment', { '!': 'timestamp', value: 5 }, { '!': 'timestamp', value: 5 }],
  [
    'a decimal',
    { '!': 'decimal', value: { places: 1, digits: 15 } },
    { '!': 'decimal', value: { places: 1, digits: 15 } },
  ],
])('a table is written as a table, not as %s, unless it was one', (_, table, plain) => {
  const headers = { first: table, list: [{ ...table }] };
  makePlain(headers);
  expect(headers).toEqual({ first: plain, list: [plain] });
});
