import { describe, expect, it, test } from 'vitest';
import { hasRequestFields, readSendingRequest, wishesOf } from './sending-request.ts';

const NOW = Date.UTC(2026, 10, 30, 12);
const DAY = 86_400_000;

describe('a request', () => {
  test.each([
    [{}, {}],
    [{ sendAt: null, priority: undefined, validFor: null }, {}],
    [{ sendAt: '10m' }, { sendAtMs: NOW + 600_000 }],
    [{ sendAt: '2026-12-01T09:00:00+01:00' }, { sendAtMs: Date.UTC(2026, 11, 1, 8) }],
    [{ priority: 'high' }, { priority: 'high' }],
    [{ validFor: '2s' }, { validForMs: 2_000 }],
    [{ validFor: '365d' }, { validForMs: 365 * DAY }],
    [
      { sendAt: '0s', priority: 'normal', validFor: '1h' },
      { sendAtMs: NOW, priority: 'normal', validForMs: 3_600_000 },
    ],
  ])('%j is read', (fields, request) => expect(readSendingRequest(fields, NOW)).toEqual({ request }));

  const noTime = 'is not a time (write 2026-12-01T09:00:00+01:00, or a duration from now such as 10m)';
  const noDuration = 'is not a duration (write 30s, 5m, 12h or 1d)';
  test.each([
    ['sendAt', '', noTime],
    ['sendAt', 1_796_115_600_000, noTime],
    ['sendAt', ['10m'], noTime],
    ['sendAt', { toString: 1 }, noTime],
    ['sendAt', '367d', 'is more than 366 days ahead'],
    ['priority', '', 'is not high, normal or low'],
    ['priority', 'HIGH', 'is not high, normal or low'],
    ['priority', 1, 'is not high, normal or low'],
    ['validFor', '', noDuration],
    ['validFor', 60, noDuration],
    ['validFor', '2026-12-01T09:00:00Z', noDuration],
    ['validFor', '1999ms', 'is too short (at least 2s)'],
    ['validFor', '366d', 'is too long (at most a year, 8760h)'],
  ])('with %s %j is refused', (field, value, problem) =>
    expect(readSendingRequest({ [field]: value }, NOW)).toEqual({ problems: [{ field, problem }] }),
  );

  it('is refused with all its problems', () => {
    expect(readSendingRequest({ sendAt: 'x', priority: 'x', validFor: 'x' }, NOW)).toMatchObject({
      problems: [{ field: 'sendAt' }, { field: 'priority' }, { field: 'validFor' }],
    });
  });

  it('takes what it does not say from others', () => {
    const others = { sendAtMs: 1, priority: 'high', validForMs: 5_000 } as const;
    expect(readSendingRequest({ priority: 'normal', validFor: null }, NOW, others)).toEqual({
      request: { sendAtMs: 1, priority: 'normal', validForMs: 5_000 },
    });
  });
});

test.each([
  [{}, false],
  [{ to: '+15550100001', sendAt: null }, false],
  [{ sendAt: '' }, true],
  [{ priority: 0 }, true],
  [{ validFor: false }, true],
])('%j asks for something: %s', (fields, expected) => expect(hasRequestFields(fields)).toBe(expected));

test.each([
  ['at once, without an end', {}, {}],
  ['later', { sendAtMs: NOW + 1 }, { notBeforeMs: NOW + 1 }],
  ['at a moment that has come', { sendAtMs: NOW }, {}],
  ['in the past', { sendAtMs: NOW - DAY }, {}],
  ['for a while', { validForMs: 2_000 }, { expiresAtMs: NOW + 2_000 }],
  [
    'later, for a while',
    { sendAtMs: NOW + DAY, validForMs: 2_000 },
    { notBeforeMs: NOW + DAY, expiresAtMs: NOW + DAY + 2_000 },
  ],
  ['in the past, for a while', { sendAtMs: NOW - DAY, validForMs: 2_000 }, { expiresAtMs: NOW + 2_000 }],
  ['first', { priority: 'high' as const }, { priority: 'high' }],
])('an SMS to be sent %s says so', (_, request, wishes) => expect(wishesOf(request, NOW)).toEqual(wishes));
