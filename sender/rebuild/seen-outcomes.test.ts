import { createHash } from 'node:crypto';
import { expect, it } from 'vitest';
import { SeenOutcomes } from './seen-outcomes.ts';

const KEEP_TIME_MS = 3_600_000;
const BEGAN_AT_MS = Date.UTC(2026, 10, 22, 10, 0, 0);

const digest = (...parts: readonly (string | Buffer)[]): string =>
  createHash('sha256').update(parts.join('')).digest('hex').slice(0, 16);

function met(index: number, finishedAtMs = BEGAN_AT_MS) {
  return { smsId: `sms-${index}`, finishedAtMs, fate: 'summed' as const, keepTimeMs: KEEP_TIME_MS };
}

it('the second record of an SMS is known again, what became of the first one told', () => {
  const seen = new SeenOutcomes(digest);
  expect(seen.meet(met(1))).toBe('new');
  expect(seen.meet({ ...met(2), fate: 'kept' })).toBe('new');
  expect(seen.meet(met(1, BEGAN_AT_MS + KEEP_TIME_MS))).toBe('summed');
  expect(seen.meet(met(2, BEGAN_AT_MS - KEEP_TIME_MS))).toBe('kept');
  expect(seen.meet(met(1, BEGAN_AT_MS + KEEP_TIME_MS + 1))).toBe('new');
  expect(seen.meet(met(1, BEGAN_AT_MS + 2 * KEEP_TIME_MS))).toBe('summed');
});

it('a record is still known again after as many outcomes as a generation holds', () => {
  const numbered = (id: string | Buffer | undefined) =>
    Math.imul(Number(String(id).slice(4)), 0x9e3779b1) >>> 0;
  const seen = new SeenOutcomes((id) => numbered(id).toString(16).padStart(8, '0').repeat(2), 2 ** 15);
  const outcomes = 2 ** 15;
  for (let index = 0; index < 3 * outcomes; index += 1) seen.meet(met(index));
  let known = 0;
  for (let index = 2 * outcomes; index < 3 * outcomes; index += 1)
    known += seen.meet(met(index)) === 'summed' ? 1 : 0;
  expect(known).toBe(outcomes);
  expect(seen.meet(met(2 * outcomes - 1))).toBe('summed');
  expect(seen.meet(met(0))).toBe('new');
});

it('a record that lies further apart than what is held is taken for another SMS', () => {
  const seen = new SeenOutcomes(digest, 100);
  for (let index = 0; index <= 100; index += 1) seen.meet(met(index));
  expect(seen.meet(met(0))).toBe('summed');
  for (let index = 101; index <= 300; index += 1) seen.meet(met(index));
  expect(seen.meet(met(0))).toBe('new');
});
