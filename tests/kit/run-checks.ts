import { addCounts, type Counts, verdictOf } from '../../scripts/test-counts.ts';
import { describeError } from '../../shared/errors.ts';

/** One promise of a long run. Each check goes on where the one before ended. */
export interface Check<Subject> {
  readonly sentence: string;
  /** Without it the others mean nothing. */
  readonly isBasis?: boolean;
  /** A sentence where it cannot be tried here: the check is skipped then. */
  whyNot?(subject: Subject): Promise<string | undefined>;
  run(subject: Subject): Promise<void>;
}

/** Runs them in order and says what each of them found. It ends after one that the others need, and at a shutdown. */
export async function runChecks<Subject>(
  checks: readonly Check<Subject>[],
  subject: Subject,
  shutdown: AbortSignal,
): Promise<Counts> {
  let counts = verdictOf(undefined);
  for (const check of checks) {
    const obstacle = await check.whyNot?.(subject);
    if (obstacle !== undefined) {
      process.stdout.write(`skipped ${check.sentence}: ${obstacle}\n`);
      counts = addCounts(counts, { ...verdictOf(undefined), skipped: 1 });
      continue;
    }
    const startedAt = Date.now();
    const problem = shutdown.aborted ? 'interrupted' : await problemOf(check, subject);
    const seconds = ((Date.now() - startedAt) / 1_000).toFixed(0);
    process.stdout.write(
      `${problem === undefined ? 'passed' : 'FAILED'}  ${check.sentence} (${seconds} s)\n`,
    );
    if (problem !== undefined) process.stdout.write(`        ${problem.replaceAll('\n', '\n        ')}\n`);
    counts = addCounts(counts, verdictOf(problem === undefined));
    if (problem !== undefined && (shutdown.aborted || check.isBasis === true)) break;
  }
  return counts;
}

async function problemOf<Subject>(check: Check<Subject>, subject: Subject): Promise<string | undefined> {
  try {
    await check.run(subject);
    return undefined;
  } catch (error) {
    return describeError(error);
  }
}
