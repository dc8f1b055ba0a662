import { array, integer, tuple } from 'fast-check';
import { expect, test } from 'vitest';
import { forAll } from '../../../tests/kit/for-all.ts';
import { LANES, LaneTurns } from './lanes.ts';

const [HIGH, DUE, WORK, LOW] = [0, 1, 2, 3];

/** Takes as many turns as there are arrivals; before each, that many SMS come into each lane. */
function takeTurns(
  arrivals: readonly (readonly number[])[],
): { waitedIn: number[]; picked: number | undefined }[] {
  const waiting = LANES.map(() => 0);
  const turns = new LaneTurns();
  return arrivals.map((arriving) => {
    arriving.forEach((count, lane) => {
      waiting[lane] = (waiting[lane] ?? 0) + count;
    });
    const waitedIn = [...waiting];
    const picked = turns.take(waiting.map((length) => ({ length })));
    if (picked !== undefined) waiting[picked] = (waiting[picked] ?? 0) - 1;
    return { waitedIn, picked };
  });
}

const few = (max: number) => integer({ min: 0, max });
const arrivals = array(tuple(few(1), few(3), few(2), few(2)), { maxLength: 300 });
const pickedOf = (...arrivals: readonly (readonly number[])[]) =>
  takeTurns(arrivals).map(({ picked }) => picked);

test('with all lanes full, of twenty turns about thirteen are high, four due, two work and one low', () => {
  const picked = pickedOf([1_000, 1_000, 1_000, 1_000], ...Array(399).fill([0, 0, 0, 0]));
  const shareOf = (lane: number) => Math.round(picked.filter((each) => each === lane).length / 20);
  expect([HIGH, DUE, WORK, LOW].map(shareOf)).toEqual([13, 4, 2, 1]);
});

test('of due retries and fresh SMS, nine due retries go before each fresh SMS', () => {
  const picked = pickedOf([0, 100, 100, 0], ...Array(29).fill([0, 0, 0, 0]));
  expect(picked.join('')).toBe(`${String(DUE).repeat(9)}${WORK}`.repeat(3));
});

test('a high SMS goes next, however many low ones wait', () => {
  const picked = pickedOf([0, 0, 0, 100_000], [0, 0, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]);
  expect(picked).toEqual([LOW, LOW, HIGH, LOW]);
});

test('a turn is only lost where nothing waits, and no lane is picked that is empty', () => {
  forAll(arrivals, (turns) => {
    for (const { waitedIn, picked } of takeTurns(turns)) {
      if (picked === undefined) expect(waitedIn).toEqual([0, 0, 0, 0]);
      else expect(waitedIn[picked]).toBeGreaterThan(0);
    }
  });
});

// Where turns are owed to two lanes at once, the rarer one is first.
test.each([
  ['due', DUE, 4 + 2],
  ['work', WORK, 9 + 1],
  ['low', LOW, 19],
])('a lane %s with something waiting never misses more turns than it may', (_, lane, most) => {
  forAll(arrivals, (turns) => {
    let missed = 0;
    for (const { waitedIn, picked } of takeTurns(turns)) {
      missed = picked === lane || waitedIn[lane] === 0 ? 0 : missed + 1;
      expect(missed).toBeLessThanOrEqual(most);
    }
  });
});
