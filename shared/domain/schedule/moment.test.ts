import { describe, expect, it, test } from 'vitest';
import { MAX_AHEAD_MS, parseMoment } from './moment.ts';

const NOW = Date.UTC(2026, 10, 30, 12);

describe('a moment', () => {
  it.each([
    ['2026-12-01T09:00:00Z', Date.UTC(2026, 11, 1, 9)],
    ['2026-12-01T09:00:00+01:00', Date.UTC(2026, 11, 1, 8)],
    ['2026-12-01T09:00:00-03:30', Date.UTC(2026, 11, 1, 12, 30)],
    ['2026-12-01T00:30:00+05:45', Date.UTC(2026, 10, 30, 18, 45)],
    ['2026-12-01T09:00:00-00:00', Date.UTC(2026, 11, 1, 9)],
    ['2026-12-01t09:00:00z', Date.UTC(2026, 11, 1, 9)],
    ['2026-12-01 09:00:00+01:00', Date.UTC(2026, 11, 1, 8)],
    ['2026-12-01T09:00:00.5Z', Date.UTC(2026, 11, 1, 9, 0, 0, 500)],
    ['2026-12-01T09:00:00.029Z', Date.UTC(2026, 11, 1, 9, 0, 0, 29)],
    ['2026-12-01T09:00:00.0290000Z', Date.UTC(2026, 11, 1, 9, 0, 0, 29)],
    ['2026-12-01T09:00:00.0290001Z', Date.UTC(2026, 11, 1, 9, 0, 0, 30)],
    ['2026-12-01T09:00:00.9999Z', Date.UTC(2026, 11, 1, 9, 0, 1)],
    ['2026-12-31T23:59:60Z', Date.UTC(2027, 0, 1)],
    ['2024-02-29T00:00:00Z', Date.UTC(2024, 1, 29)],
    ['1999-12-31T23:59:59Z', Date.UTC(1999, 11, 31, 23, 59, 59)],
    ['0001-01-01T00:00:00Z', -62_135_596_800_000],
    ['0s', NOW],
    ['10m', NOW + 600_000],
    ['366d', NOW + MAX_AHEAD_MS],
    ['2027-12-01T12:00:00Z', NOW + MAX_AHEAD_MS],
  ])('%s is read', (text, momentMs) => expect(parseMoment(text, NOW)).toEqual({ momentMs }));

  it.each(['2026-12-01T09:00:00', '2026-12-01 09:00:00', '2026-12-01T09:00:00.5'])(
    '%s says not where',
    (text) =>
      expect(parseMoment(text, NOW)).toEqual({
        problem: 'has no offset from UTC (write Z or an offset such as +01:00 at its end)',
      }),
  );

  it.each([
    '2026-02-30T09:00:00Z',
    '2026-02-29T09:00:00Z',
    '2026-13-01T09:00:00Z',
    '2026-00-01T09:00:00Z',
    '2026-12-00T09:00:00Z',
    '2026-12-32T09:00:00Z',
    '2026-12-01T24:00:00Z',
    '2026-12-01T25:00:00Z',
    '2026-12-01T09:60:00Z',
    '2026-12-01T09:00:61Z',
    '2026-12-01T09:00:00+24:00',
    '2026-12-01T09:00:00+01:60',
    '2026-02-30T09:00:00',
  ])('%s does not exist', (text) =>
    expect(parseMoment(text, NOW)).toEqual({ problem: 'names a date or a time of day that does not exist' }),
  );

  it.each([
    '',
    ' ',
    'now',
    'tomorrow',
    '2026-12-01',
    '2026-12-01T09:00Z',
    '2026-12-01T09:00:00+1',
    '2026-12-01T09:00:00+0100',
    '2026-12-01T09:00:00 +01:00',
    '2026-12-01T09:00:00.Z',
    ' 2026-12-01T09:00:00Z',
    '2026-12-01T09:00:00Z\n',
    '20261201T090000Z',
    '+012026-12-01T09:00:00Z',
    '1796115600000',
    '-10m',
    '10 m',
    '10',
    '1w',
    '9'.repeat(10_000),
  ])('%j is none', (text) =>
    expect(parseMoment(text, NOW)).toEqual({
      problem: 'is not a time (write 2026-12-01T09:00:00+01:00, or a duration from now such as 10m)',
    }),
  );

  it.each(['367d', '31622400001ms', '2027-12-01T12:00:00.001Z', '9999-12-31T23:59:59Z', '999999999999999d'])(
    '%s is too far ahead',
    (text) => expect(parseMoment(text, NOW)).toEqual({ problem: 'is more than 366 days ahead' }),
  );
});

test('an offset moves nothing but the reading: the same moment in every zone', () => {
  for (const [text, offset] of [
    ['2026-12-01T09:00:00', 'Z'],
    ['2026-12-01T22:45:00', '+13:45'],
    ['2026-11-30T21:00:00', '-12:00'],
  ])
    expect(parseMoment(`${text}${offset}`, NOW)).toEqual({ momentMs: Date.UTC(2026, 11, 1, 9) });
});
