/** `npm run test:upgrade`: a newer build beside this one on one pipeline, there and back. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensurePrograms } from '../../scripts/servers/private-servers.ts';
import { findProjectFolder } from '../../shared/environment.ts';
import { EXIT, runToExit } from '../../shared/exit-code.ts';
import { copyPrograms, startFaultServers } from '../faults/fault-servers.ts';
import { endProcessesOnSignals } from '../faults/real-process.ts';
import { playRuns, readRunsToPlay } from '../faults/seeded-runs.ts';
import { buildNewer } from './newer-build.ts';
import { playUpgrade, UPGRADES, upgradeNamed } from './upgrade.ts';

const runs = readRunsToPlay('test:upgrade', 'upgrades');
endProcessesOnSignals();

await runToExit(async () => {
  const projectFolder = findProjectFolder();
  const upgrades = runs.only?.map(upgradeNamed) ?? UPGRADES;
  await ensurePrograms(['redis', 'rabbitmq'], process.env.PATH ?? '', (line) => console.error(line));
  const folder = mkdtempSync(join(tmpdir(), 'redial-upgrade-'));
  const older = copyPrograms(projectFolder, join(folder, 'older'));
  const newer = await buildNewer(projectFolder, join(folder, 'newer'));
  const servers = await startFaultServers(join(folder, 'servers'), older);
  let areAllGood: boolean;
  try {
    process.stdout.write(`seed ${runs.firstSeed}\n`);
    areAllGood = await playRuns(upgrades, runs, async (upgrade, seed) => ({
      problems: await playUpgrade(upgrade, seed, servers, newer),
    }));
  } finally {
    await servers.stop();
  }
  if (areAllGood) rmSync(folder, { recursive: true, force: true });
  return areAllGood ? EXIT.done : EXIT.failed;
});
