import { array, integer, record } from 'fast-check';
import { expect, test } from 'vitest';
import { forAll } from '../testing/for-all.ts';
import { LANES, LaneTurns } from './lanes.ts';

const [DUE, WORK] = [0, 1];

/** Takes as many turns as there are arrivals; before each, that many SMS come into each lane. */
function takeTurns(
  arrivals: readonly (readonly number[])[],
): { waitedIn: number[]; picked: number | undefined }[] {
  const waiting = LANES.map(() => 0);
  const turns = new LaneTurns(LANES);
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

const arrivals = array(record({ due: integer({ min: 0, max: 3 }), work: integer({ min: 0, max: 2 }) }), {
  maxLength: 300,
}).map((turns) => turns.map(({ due, work }) => [due, work]));

test('with both lanes full, nine due retries go before each fresh SMS', () => {
  const picked = takeTurns([[100, 100], ...Array(29).fill([0, 0])]).map((turn) => turn.picked);
  expect(picked.join('')).toBe(`${'0'.repeat(9)}1`.repeat(3));
});

test('a turn is only lost where nothing waits, and no lane is picked that is empty', () => {
  forAll(arrivals, (turns) => {
    for (const { waitedIn, picked } of takeTurns(turns)) {
      if (picked === undefined) expect(waitedIn).toEqual([0, 0]);
      else expect(waitedIn[picked]).toBeGreaterThan(0);
    }
  });
});

test('fresh SMS that wait get a turn within ten, and take no second one within ten from due retries', () => {
  forAll(arrivals, (turns) => {
    let turnsWithoutWork = 0;
    for (const { waitedIn, picked } of takeTurns(turns)) {
      if (picked === WORK) {
        if ((waitedIn[DUE] ?? 0) > 0) expect(turnsWithoutWork).toBe(9);
        turnsWithoutWork = 0;
      } else {
        turnsWithoutWork = (waitedIn[WORK] ?? 0) > 0 ? turnsWithoutWork + 1 : 0;
        expect(turnsWithoutWork).toBeLessThanOrEqual(9);
      }
    }
  });
});
