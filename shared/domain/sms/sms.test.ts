import { integer, stringMatching, tuple } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { forAll } from '../../../tests/kit/for-all.ts';
import {
  isPhoneNumber,
  isRunName,
  isSmsId,
  maskPhoneNumber,
  maskPhoneNumbersIn,
  readSmsContent,
  smsIdOf,
  smsNumberOf,
} from './sms.ts';

const runs = stringMatching(/^[A-Za-z0-9._-]{1,64}$/).filter(isRunName);
const phoneNumbers = stringMatching(/^\+[1-9]\d{6,14}$/);
const content = { to: '+15550100001', text: 'Hello' };

describe('the id of a generated SMS', () => {
  test.each([
    ['demo', 1, 'demo-000001'],
    ['demo', 999_999, 'demo-999999'],
    ['demo', 1_000_000, 'demo-1000000'],
  ])('run %s, number %i → %s', (run, smsNumber, smsId) => {
    expect(smsIdOf(run, smsNumber)).toBe(smsId);
  });

  test('tells its number back, and is a valid id', () => {
    forAll(runs, integer({ min: 1, max: 999_999_999_999 }), (run, smsNumber) => {
      const smsId = smsIdOf(run, smsNumber);
      return isSmsId(smsId) && smsNumberOf(run, smsId) === smsNumber;
    });
  });

  test.each(['demo-1', 'demo-000000', 'demo-0000001', 'demo-00000x', 'demo2-000001', 'demo', 'demo-'])(
    '%s is no id that run demo would make',
    (smsId) => expect(smsNumberOf('demo', smsId)).toBeUndefined(),
  );
});

test.each([
  ['+1234567', true],
  ['+123456789012345', true],
  ['+15550100001', true],
  ['+123456', false],
  ['+1234567890123456', false],
  ['+05550100001', false],
  ['15550100001', false],
  ['+1555 0100001', false],
  ['+15550100001\n', false],
  ['+１５５５０１００００１', false],
  ['', false],
  [15550100001, false],
])('phone number %j: %s', (value, isOne) => expect(isPhoneNumber(value)).toBe(isOne));

test.each([
  ['a', true],
  ['demo-000001', true],
  ['A.b_c:d-9', true],
  ['x'.repeat(128), true],
  ['x'.repeat(129), false],
  ['', false],
  ['a b', false],
  ['a\n', false],
  ['a\u0000', false],
  ['a{b}', false],
  ['a/b', false],
  ['ä', false],
  [7, false],
])('SMS id %j: %s', (value, isOne) => expect(isSmsId(value)).toBe(isOne));

test.each([
  ['demo', true],
  ['x'.repeat(64), true],
  ['x'.repeat(65), false],
  ['a:b', false],
  ['', false],
  ['.', false],
  ['..', false],
  ['...', true],
  ['.a', true],
])('run name %j: %s', (value, isOne) => expect(isRunName(value)).toBe(isOne));

describe('the content of an SMS', () => {
  test('is read as it was written, without what is not part of it', () => {
    const full = { ...content, from: 'Redial', reference: 'order 7' };
    expect(readSmsContent({ ...full, priority: 'high' })).toEqual({ content: full });
  });

  test.each([
    ['1,600 letters', 'x'.repeat(1_600)],
    ['1,600 emoji, each one character to a person and two to JavaScript', '😀'.repeat(1_600)],
    ['one character', ' '],
  ])('may have a text of %s', (_, text) => {
    expect(readSmsContent({ ...content, text })).toEqual({ content: { ...content, text } });
  });

  test.each([
    ['to is missing', { to: undefined }],
    ['to is missing', { to: null }],
    ['to is missing', { to: '' }],
    ['to is not a phone number', { to: '+1555' }],
    ['to is not a phone number', { to: 15550100001 }],
    ['to is not a phone number', { to: ['+15550100001'] }],
    ['text is missing', { text: undefined }],
    ['text is missing', { text: null }],
    ['text is not a string', { text: 7 }],
    ['text is not a string', { text: ['Hello'] }],
    ['text is empty', { text: '' }],
    ['text is too long', { text: 'x'.repeat(1_601) }],
    ['text is too long', { text: '😀'.repeat(1_601) }],
    ['text is not valid Unicode', { text: 'half of 😀: \ud83d' }],
    ['text is not valid Unicode', { text: '\ude00\ud83d' }],
    ['from is not valid Unicode', { from: '\ud800' }],
    ['reference is not valid Unicode', { reference: 'a\udc00' }],
    ['from is not a short text', { from: 7 }],
    ['from is not a short text', { from: 'x'.repeat(257) }],
    ['reference is not a short text', { reference: null }],
  ])('%s: %o', (problem, bad) => {
    expect(readSmsContent({ ...content, ...bad })).toEqual({ problem });
  });
});

describe('a masked phone number', () => {
  test.each([
    ['+15550100123', '+1555…0123'],
    ['+1234567', '+…'],
  ])('%s → %s', (phoneNumber, masked) => expect(maskPhoneNumber(phoneNumber)).toBe(masked));

  test('hides at least three digits, whatever its length', () => {
    forAll(phoneNumbers, (phoneNumber) => {
      const shown = maskPhoneNumber(phoneNumber).replace(/\D/g, '').length;
      return shown <= phoneNumber.length - 1 - 3;
    });
  });

  test('is all that a sentence keeps of it', () => {
    forAll(tuple(phoneNumbers, phoneNumbers), ([one, other]) => {
      const said = maskPhoneNumbersIn(`to ${one}, then ${other}.`);
      expect(said).toBe(`to ${maskPhoneNumber(one)}, then ${maskPhoneNumber(other)}.`);
    });
  });
});
