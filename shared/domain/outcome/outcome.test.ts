import { describe, expect, test } from 'vitest';
import { contentOf, isOutcomeRecord, isRunAnnouncement, type OutcomeRecord } from './outcome.ts';

const startedAt = '2026-11-22T10:00:00.000Z';
const outcome: OutcomeRecord = {
  smsId: 'demo-000001',
  run: 'demo',
  queue: 'sms',
  to: '+15550100001',
  text: 'Hello',
  status: 'failed',
  reason: 'timeout',
  acceptedAt: startedAt,
  finishedAt: startedAt,
  attempts: [{ attempt: 1, startedAt, tookMs: 5, result: 'failed', reason: 'timeout' }],
};
const announcement = {
  run: 'demo',
  queue: 'sms',
  accepted: 7,
  acceptedUpTo: 5,
  input: 'generated',
  at: startedAt,
};

describe('what comes out of S3 or the journal', () => {
  test.each([
    ['a failed SMS', {}, true],
    [
      'a parked message, without content',
      { status: 'parked', to: undefined, text: undefined, attempts: [] },
      true,
    ],
    ['no id', { smsId: undefined }, false],
    ['an id that is none', { smsId: 'a/b' }, false],
    ['no run', { run: undefined }, false],
    ['no queue', { queue: undefined }, false],
    ['an unknown status', { status: 'lost' }, false],
    ['no times', { finishedAt: undefined }, false],
    ['no attempts', { attempts: undefined }, false],
    ['an attempt that is none', { attempts: [{}] }, false],
    ['attempts with a gap', { attempts: [{ ...outcome.attempts[0], attempt: 2 }] }, false],
  ])('%s: %o is an outcome: %s', (_, change, isOne) => {
    expect(isOutcomeRecord({ ...outcome, ...change })).toBe(isOne);
  });

  test.each([
    ['as announced', {}, true],
    ['nothing yet', { accepted: 0, acceptedUpTo: 0 }, true],
    ['a negative number', { accepted: -1 }, false],
    ['a fraction', { acceptedUpTo: 1.5 }, false],
    ['no run', { run: '' }, false],
    ['no input', { input: undefined }, false],
  ])('%s: %o is an announcement: %s', (_, change, isOne) => {
    expect(isRunAnnouncement({ ...announcement, ...change })).toBe(isOne);
  });

  test.each([null, undefined, 7, 'text', []])('%j is neither', (value) => {
    expect([isOutcomeRecord(value), isRunAnnouncement(value)]).toEqual([false, false]);
  });
});

describe('the content of an SMS', () => {
  test('is the same however the SMS ended', () => {
    expect(contentOf({ ...outcome, status: 'sent', attempts: [], run: 'other' })).toBe(contentOf(outcome));
  });

  test.each([
    { to: '+15550100002' },
    { text: 'Bye' },
    { from: 'Redial' },
    { reference: '7' },
    { raw: 'AA==' },
  ])('is another with %o', (change) =>
    expect(contentOf({ ...outcome, ...change })).not.toBe(contentOf(outcome)),
  );

  test('does not mistake one field for another', () => {
    expect(contentOf({ ...outcome, from: 'x' })).not.toBe(contentOf({ ...outcome, reference: 'x' }));
  });
});
