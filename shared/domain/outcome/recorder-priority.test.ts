import { expect, test } from 'vitest';
import { recorderPriorityOf } from './recorder-priority.ts';

const NOW_MS = Date.UTC(2026, 10, 22, 10);
const IN_A_CENTURY_MS = Date.UTC(2109, 0, 1);

test('journal messages go to the newest version first, among its recorders to the one that was started first', () => {
  const inOrder = [
    recorderPriorityOf(IN_A_CENTURY_MS, 2),
    recorderPriorityOf(NOW_MS, 1),
    recorderPriorityOf(NOW_MS + 1, 1),
    recorderPriorityOf(IN_A_CENTURY_MS, 1),
    // A version without priorities.
    0,
  ];
  expect(inOrder.toSorted((left, right) => right - left)).toEqual(inOrder);
  expect(inOrder.every(Number.isSafeInteger)).toBe(true);
});
