/** `npm run test:upgrade`: a newer build beside this one on one pipeline, there and back. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { ensurePrograms } from '../../scripts/servers/private-servers.ts';
import { findProjectFolder } from '../../shared/environment.ts';
import { EXIT, runToExit } from '../../shared/exit-code.ts';
import { copyPrograms, startFaultServers } from '../faults/fault-servers.ts';
import { endAllProcesses } from '../faults/real-process.ts';
import { buildNewer } from './newer-build.ts';
import { playUpgrade, UPGRADES, upgradeNamed } from './upgrade.ts';

const options = new Command('test:upgrade')
  .option('--only <names>', 'these, separated by commas')
  .option('--runs <count>', 'so many runs of each')
  .option('--seed <number>', 'seed of the first run; the next runs count on from it')
  .parse()
  .opts<{ only?: string; runs?: string; seed?: string }>();

// The servers see our end by themselves.
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    endAllProcesses();
    process.kill(process.pid, signal);
  });
}

await runToExit(async () => {
  const projectFolder = findProjectFolder();
  const upgrades = options.only?.split(',').map(upgradeNamed) ?? UPGRADES;
  const firstSeed = options.seed === undefined ? Math.floor(Math.random() * 1e9) : Number(options.seed);
  await ensurePrograms(['redis', 'rabbitmq'], process.env.PATH ?? '', (line) => console.error(line));
  const folder = mkdtempSync(join(tmpdir(), 'redial-upgrade-'));
  const older = copyPrograms(projectFolder, join(folder, 'older'));
  const newer = await buildNewer(projectFolder, join(folder, 'newer'));
  const servers = await startFaultServers(join(folder, 'servers'), older);
  let [runCount, failedCount] = [0, 0];
  try {
    process.stdout.write(`seed ${firstSeed}\n`);
    for (const upgrade of upgrades) {
      for (let run = 0; run < Number(options.runs ?? upgrade.runs); run += 1) {
        const seed = firstSeed + run;
        const problems = await playUpgrade(upgrade, seed, servers, newer);
        const word = problems.length === 0 ? 'ok    ' : 'FAILED';
        const lines = problems.map((problem) => `       ${problem}\n`);
        process.stdout.write(`${word} ${upgrade.name} seed ${seed}\n${lines.join('')}`);
        runCount += 1;
        if (problems.length > 0) failedCount += 1;
      }
    }
  } finally {
    await servers.stop();
  }
  process.stdout.write(`\n${runCount - failedCount} runs passed, ${failedCount} failed\n`);
  if (failedCount === 0) rmSync(folder, { recursive: true, force: true });
  return failedCount === 0 ? EXIT.done : EXIT.failed;
});
