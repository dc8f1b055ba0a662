/**
 * `npm run test:aws`: a container takes itself for a new EC2 instance and runs the user data of the template, as deploy/aws
 * hands it over. Then the instance is used, restarted, brought to another version, and what it asked of AWS is looked at.
 */
import { runCommand } from '../../scripts/servers/programs/run-command.ts';
import { formatCounts, isGreen, verdictOf } from '../../scripts/test-counts.ts';
import { findProjectFolder } from '../../shared/process/environment.ts';
import { listenForShutdown } from '../../shared/process/shutdown.ts';
import { runChecks } from '../kit/run-checks.ts';
import { CHECKS } from './checks.ts';
import { Instance } from './instance.ts';

const shutdown = listenForShutdown();
if (process.platform !== 'linux' || (await runCommand('docker', ['info'])).code !== 0) {
  process.stdout.write(
    `Skipped: no Docker engine answers here, or this is not Linux. Start Docker and try again.\n${formatCounts(verdictOf(undefined))}\n`,
  );
} else {
  const instance = new Instance(findProjectFolder());
  try {
    const counts = await runChecks(CHECKS, instance, shutdown);
    if (!isGreen(counts) && !shutdown.aborted) process.stderr.write(`${await instance.describeTrouble()}\n`);
    process.stdout.write(`\n${formatCounts(counts)}\n`);
    process.exitCode = isGreen(counts) ? 0 : 1;
  } finally {
    process.stderr.write('Removing what was started …\n');
    await instance.remove();
  }
}
