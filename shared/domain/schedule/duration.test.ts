import { integer } from 'fast-check';
import { expect, test } from 'vitest';
import { forAll } from '../../../tests/kit/for-all.ts';
import { formatDuration, MAX_DURATION_MS, parseDuration } from './duration.ts';

test.each([
  ['0s', 0],
  ['1ms', 1],
  ['500ms', 500],
  ['5s', 5_000],
  ['2m', 120_000],
  ['1h', 3_600_000],
  ['1d', 86_400_000],
  ['365d', MAX_DURATION_MS],
  ['007s', 7_000],
])('%s is %i ms', (text, durationMs) => expect(parseDuration(text)).toBe(durationMs));

test.each(['', '5', 's', '5x', '5S', '-5s', '1.5s', '1e3s', '5 s', ' 5s', '5s ', '5s30', '1m30s', '٥s'])(
  '%j is no duration',
  (text) => expect(parseDuration(text)).toBeUndefined(),
);

test.each([
  [0, '0ms'],
  [1, '1ms'],
  [1_500, '1500ms'],
  [5_000, '5s'],
  [60_000, '1m'],
  [90_000, '90s'],
  [120_000, '2m'],
  [86_400_000, '24h'],
])('%i ms is written %s', (durationMs, text) => expect(formatDuration(durationMs)).toBe(text));

test('a duration that was written is read as the same duration', () => {
  forAll(integer({ min: 0, max: MAX_DURATION_MS }), (durationMs) => {
    return parseDuration(formatDuration(durationMs)) === durationMs;
  });
});
