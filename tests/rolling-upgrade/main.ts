/** `npm run test:upgrade`: a newer build beside this one on one pipeline, there and back. */
import { join } from 'node:path';
import { runSeededCases } from '../faults/seeded-runs.ts';
import { buildNewer } from './newer-build.ts';
import { playUpgrade, UPGRADES } from './upgrade.ts';

await runSeededCases('test:upgrade', UPGRADES, 1, async (_servers, projectFolder, folder) => {
  const newer = await buildNewer(projectFolder, join(folder, 'newer'));
  return async (upgrade, seed, servers) => ({
    problems: await playUpgrade(upgrade, seed, servers, newer),
  });
});
