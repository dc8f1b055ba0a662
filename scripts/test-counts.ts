import { z } from 'zod';

export interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

// What we use of vitest's JSON report.
const reportShape = z.object({
  testResults: z.array(
    z.object({ status: z.string(), assertionResults: z.array(z.object({ status: z.string() })) }),
  ),
});

/** A check that passed or failed; undefined for one that does not count. */
export function verdictOf(hasPassed: boolean | undefined): Counts {
  return { passed: hasPassed === true ? 1 : 0, failed: hasPassed === false ? 1 : 0, skipped: 0 };
}

/**
 * Counts vitest's report. A file that failed without a failed test (it could not be loaded, its hooks failed) counts
 * as one failure, and so does a vitest that failed without saying why, or ran nothing.
 */
export function countTests(report: string | undefined, exitCode: number | null): Counts {
  if (report === undefined) return verdictOf(false);
  const { testResults } = reportShape.parse(JSON.parse(report));
  const statuses = testResults.flatMap(({ assertionResults }) =>
    assertionResults.map(({ status }) => status),
  );
  const count = (status: string) => statuses.filter((each) => each === status).length;
  const brokenFiles = testResults.filter(
    ({ status, assertionResults }) =>
      status === 'failed' && !assertionResults.some((assertion) => assertion.status === 'failed'),
  ).length;
  const passed = count('passed');
  const failed = count('failed') + brokenFiles;
  const hasUntoldFailure = failed === 0 && (exitCode !== 0 || passed === 0);
  return {
    passed,
    failed: hasUntoldFailure ? 1 : failed,
    skipped: statuses.length - passed - count('failed'),
  };
}

export function addCounts(left: Counts, right: Counts): Counts {
  return {
    passed: left.passed + right.passed,
    failed: left.failed + right.failed,
    skipped: left.skipped + right.skipped,
  };
}

export function isGreen({ passed, failed }: Counts): boolean {
  return failed === 0 && passed > 0;
}

/** `12 passed, 0 failed`, and what was skipped if anything was. */
export function formatCounts({ passed, failed, skipped }: Counts): string {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;
}
