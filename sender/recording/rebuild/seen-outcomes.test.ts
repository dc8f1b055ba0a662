import { createHash } from 'node:crypto';
import { expect, it } from 'vitest';
import { SeenOutcomes } from './seen-outcomes.ts';

const KEEP_TIME_MS = 3_600_000;
const BEGAN_AT_MS = Date.UTC(2026, 10, 22, 10, 0, 0);

const digest = (...parts: readonly (string | Buffer)[]): string =>
  createHash('sha256').update(parts.join('')).digest('hex').slice(0, 16);

function meet(
  seen: SeenOutcomes,
  index: number,
  finishedAtMs = BEGAN_AT_MS,
  place: 'summed' | 'kept' = 'summed',
) {
  return seen.meet(`sms-${index}`, finishedAtMs, place);
}

it('the second record of an SMS is known again, what became of the first one told', () => {
  const seen = new SeenOutcomes(digest, KEEP_TIME_MS);
  expect(meet(seen, 1)).toBe('new');
  expect(meet(seen, 2, BEGAN_AT_MS, 'kept')).toBe('new');
  expect(meet(seen, 1, BEGAN_AT_MS + KEEP_TIME_MS)).toBe('summed');
  expect(meet(seen, 2, BEGAN_AT_MS - KEEP_TIME_MS)).toBe('kept');
  expect(meet(seen, 1, BEGAN_AT_MS + KEEP_TIME_MS + 1)).toBe('new');
  expect(meet(seen, 1, BEGAN_AT_MS + 2 * KEEP_TIME_MS)).toBe('summed');
});

it('a record is still known again after as many outcomes as a generation holds', () => {
  const numbered = (id: string | Buffer | undefined) =>
    Math.imul(Number(String(id).slice(4)), 0x9e3779b1) >>> 0;
  const seen = new SeenOutcomes(
    (id) => numbered(id).toString(16).padStart(8, '0').repeat(2),
    KEEP_TIME_MS,
    2 ** 15,
  );
  const outcomes = 2 ** 15;
  for (let index = 0; index < 3 * outcomes; index += 1) meet(seen, index);
  let known = 0;
  for (let index = 2 * outcomes; index < 3 * outcomes; index += 1)
    known += meet(seen, index) === 'summed' ? 1 : 0;
  expect(known).toBe(outcomes);
  expect(meet(seen, 2 * outcomes - 1)).toBe('summed');
  expect(meet(seen, 0)).toBe('new');
});

it('a record that lies further apart than what is held is taken for another SMS', () => {
  const seen = new SeenOutcomes(digest, KEEP_TIME_MS, 100);
  for (let index = 0; index <= 100; index += 1) meet(seen, index);
  expect(meet(seen, 0)).toBe('summed');
  for (let index = 101; index <= 300; index += 1) meet(seen, index);
  expect(meet(seen, 0)).toBe('new');
});
