import { expect, test } from 'vitest';
import { addCounts, countTests, formatCounts, isGreen, verdictOf } from './test-counts.ts';

function reportOf(...files: { status: string; tests: string[] }[]): string {
  const testResults = files.map(({ status, tests }) => ({
    status,
    assertionResults: tests.map((testStatus) => ({ status: testStatus })),
  }));
  return JSON.stringify({ testResults });
}

const green = { status: 'passed', tests: ['passed', 'passed'] };

test.each([
  ['all passed', reportOf(green), 0, '2 passed, 0 failed'],
  ['one failed', reportOf(green, { status: 'failed', tests: ['failed'] }), 1, '2 passed, 1 failed'],
  ['a file could not be loaded', reportOf(green, { status: 'failed', tests: [] }), 1, '2 passed, 1 failed'],
  [
    'some were skipped',
    reportOf({ status: 'passed', tests: ['passed', 'skipped', 'todo'] }),
    0,
    '1 passed, 0 failed, 2 skipped',
  ],
  ['nothing ran', reportOf(), 0, '0 passed, 1 failed'],
  ['an error outside of tests', reportOf(green), 1, '2 passed, 1 failed'],
  ['vitest crashed before its report', undefined, null, '0 passed, 1 failed'],
])('%s', (_case, report, exitCode, line) => {
  expect(formatCounts(countTests(report, exitCode))).toBe(line);
});

test('checks count beside tests, and a run without tests is not green', () => {
  const counts = [verdictOf(true), verdictOf(false), verdictOf(undefined)].reduce(addCounts);
  expect(formatCounts(counts)).toBe('1 passed, 1 failed');
  expect(isGreen(verdictOf(undefined))).toBe(false);
});
