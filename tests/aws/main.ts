/**
 * `npm run test:aws`: a container takes itself for a new EC2 instance and runs the user data of the template, as deploy/aws hands
 * it over. Then the instance is used, restarted, brought to another version, and what it asked of AWS is looked at.
 */

import { runCommand } from '../../scripts/servers/programs/run-command.ts';
import { addCounts, type Counts, formatCounts, isGreen, verdictOf } from '../../scripts/test-counts.ts';
import { describeError } from '../../shared/errors.ts';
import { findProjectFolder } from '../../shared/process/environment.ts';
import { listenForShutdown } from '../../shared/process/shutdown.ts';
import { CHECKS } from './checks.ts';
import { Instance } from './instance.ts';

const shutdown = listenForShutdown();
if ((await runCommand('docker', ['info'])).code !== 0) {
  process.stdout.write(
    `Skipped: no Docker engine answers here. Start Docker and try again.\n${formatCounts(verdictOf(undefined))}\n`,
  );
} else {
  const instance = new Instance(findProjectFolder());
  let counts: Counts;
  try {
    counts = await runChecks(instance);
  } finally {
    process.stderr.write('Removing what was started …\n');
    await instance.remove();
  }
  process.stdout.write(`\n${formatCounts(counts)}\n`);
  process.exitCode = isGreen(counts) ? 0 : 1;
}

/** Each check goes on where the one before ended, so the first that fails is the last. */
async function runChecks(instance: Instance): Promise<Counts> {
  let counts = verdictOf(undefined);
  for (const { sentence, run } of CHECKS) {
    const startedAt = Date.now();
    const problem = shutdown.aborted ? 'interrupted' : await problemOf(() => run(instance));
    const seconds = ((Date.now() - startedAt) / 1_000).toFixed(0);
    process.stdout.write(`${problem === undefined ? 'passed' : 'FAILED'}  ${sentence} (${seconds} s)\n`);
    counts = addCounts(counts, verdictOf(problem === undefined));
    if (problem === undefined) continue;
    process.stdout.write(`        ${problem.replaceAll('\n', '\n        ')}\n`);
    if (!shutdown.aborted) process.stderr.write(`${await instance.describeTrouble()}\n`);
    break;
  }
  return counts;
}

async function problemOf(run: () => Promise<void>): Promise<string | undefined> {
  try {
    await run();
    return undefined;
  } catch (error) {
    return describeError(error);
  }
}
