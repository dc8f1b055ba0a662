/**
 * `npm run test:systemd`: boots a Debian machine with systemd as a container, installs Redial there with
 * deploy/systemd/install.sh against private servers, and stops, kills, reboots, updates and removes it under load.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findFreePorts } from '../../scripts/servers/free-ports.ts';
import { runCommand } from '../../scripts/servers/programs/run-command.ts';
import { formatCounts, isGreen, verdictOf } from '../../scripts/test-counts.ts';
import { findProjectFolder } from '../../shared/process/environment.ts';
import { listenForShutdown } from '../../shared/process/shutdown.ts';
import { addressesOf, startAllServers } from '../kit/process/test-servers.ts';
import { runChecks } from '../kit/run-checks.ts';
import { checksOfInstalling } from './install-checks.ts';
import { Machine } from './machine.ts';
import { checksOfRunning } from './running-checks.ts';
import { checksOfVersions } from './version-checks.ts';

const shutdown = listenForShutdown();
const projectFolder = findProjectFolder();
if (process.platform !== 'linux' || (await runCommand('docker', ['info'])).code !== 0) {
  process.stdout.write(
    `Skipped: no Docker engine answers here, or this is not Linux. Start Docker and try again.\n${formatCounts(verdictOf(undefined))}\n`,
  );
} else {
  const folder = mkdtempSync(join(tmpdir(), 'redial-systemd-'));
  const servers = await startAllServers(folder);
  const machine = new Machine(projectFolder);
  try {
    const [apiPort = 0, monitorPort = 0] = await findFreePorts(2);
    const addresses = addressesOf(servers.rabbitMq, servers.redis, servers.s3);
    const surroundings = { addresses, apiPort, monitorPort };
    const checks = [
      ...checksOfInstalling(surroundings),
      ...checksOfRunning(surroundings),
      ...checksOfVersions(),
    ];
    const counts = await runChecks(checks, machine, shutdown);
    process.stdout.write(`\n${formatCounts(counts)}\n`);
    process.exitCode = isGreen(counts) ? 0 : 1;
  } finally {
    process.stderr.write('Removing what was started …\n');
    await machine.remove();
    await servers.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}
