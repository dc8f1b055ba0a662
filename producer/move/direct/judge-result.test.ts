import { describe, expect, test } from 'vitest';
import { isDone, judgeCancel, judgeSentNow, type Known } from './judge-result.ts';

const KNOWN: Known = {
  ...{ before: undefined, state: undefined, isMet: false, wasPulled: false, isCertain: true },
};

describe('of an SMS to cancel the command says', () => {
  test.each<[string, Partial<Known>]>([
    ['already sent', { before: 'sent', state: 'sent', isCertain: false }],
    ['already failed', { before: 'failed', state: 'failed', isMet: true }],
    ['already parked', { before: 'parked', state: 'parked' }],
    ['not met yet', {}],
    ['cancelled', { wasPulled: true }],
    ['cancelled', { before: 'in progress', state: 'in progress', wasPulled: true }],
    ['cancelled', { before: 'in progress', state: 'failed', isMet: true }],
    // An outcome is certain whoever else does not know.
    ['cancelled', { before: 'in progress', state: 'failed', isMet: true, isCertain: false }],
    // A sender ended one message of it; another message of it had been sent.
    ['already sent', { before: 'in progress', state: 'sent', isMet: true, wasPulled: true }],
    // It failed for good before its sender knew.
    ['already failed', { before: 'in progress', state: 'failed' }],
    ['being sent', { before: 'in progress', state: 'in progress' }],
    ['not certain', { before: 'in progress', state: 'in progress', wasPulled: true, isCertain: false }],
    ['not certain', { isMet: true, isCertain: false }],
    ['not certain', { isCertain: false }],
  ])('%s: %j', (result, known) => expect(judgeCancel({ ...KNOWN, ...known })).toBe(result));
});

describe('of an SMS to send now the command says', () => {
  test.each<[string, Partial<Known>]>([
    ['sent now', { before: 'in progress', wasPulled: true }],
    ['sent now', { wasPulled: true }],
    ['not certain', { wasPulled: true, isCertain: false }],
    ['being sent', { before: 'in progress' }],
    ['unknown id', {}],
    ['already sent', { before: 'sent', wasPulled: true }],
    ['already failed', { before: 'failed' }],
  ])('%s: %j', (result, known) => expect(judgeSentNow({ ...KNOWN, ...known })).toBe(result));
});

test('exit 0 is for what was done or will surely be', () => {
  const results = [
    'cancelled',
    'sent now',
    'not met yet',
    'being sent',
    'unknown id',
    'already sent',
  ] as const;
  expect(results.filter(isDone)).toEqual(['cancelled', 'sent now', 'not met yet']);
});
