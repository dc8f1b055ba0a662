/**
 * `npm run test:cluster`: what becomes of every SMS while nodes of a RabbitMQ cluster of three die and come back, and how
 * long the sending pauses. With REDIAL_TEST_RABBITMQ=4 or 4.3 on that RabbitMQ.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readOverview } from '../../scripts/servers/private-rabbitmq.ts';
import { ensurePrograms } from '../../scripts/servers/private-servers.ts';
import { findProjectFolder } from '../../shared/environment.ts';
import { EXIT, runToExit } from '../../shared/exit-code.ts';
import { ensureTestedRabbitMq } from '../../shared/testing/tested-rabbitmq.ts';
import { CLUSTER_FAULTS } from './cluster-faults.ts';
import { copyPrograms, startFaultServers } from './fault-servers.ts';
import { endProcessesOnSignals } from './real-process.ts';
import { runFault } from './run-fault.ts';
import { playRuns, readRunsToPlay } from './seeded-runs.ts';

const NODES = 3;

const runs = readRunsToPlay('test:cluster', 'faults');
endProcessesOnSignals();

await runToExit(async () => {
  const projectFolder = findProjectFolder();
  const say = (line: string) => console.error(line);
  await ensurePrograms(['redis', 'rabbitmq'], process.env.PATH ?? '', say);
  await ensureTestedRabbitMq(say);

  const chosen = runs.only;
  const faults = CLUSTER_FAULTS.filter(({ name }) => chosen?.includes(name) ?? true);
  if (faults.length === 0 || (chosen !== undefined && faults.length < chosen.length))
    throw new Error(`--only must name some of ${CLUSTER_FAULTS.map(({ name }) => name).join(', ')}`);
  const folder = mkdtempSync(join(tmpdir(), 'redial-cluster-'));
  const programFolder = copyPrograms(projectFolder, join(folder, 'programs'));
  const servers = await startFaultServers(join(folder, 'servers'), programFolder, NODES);
  let areAllGood: boolean;
  try {
    const version = (await readOverview(servers.rabbitMq.managementUrl))?.rabbitmq_version;
    process.stdout.write(`RabbitMQ ${version}, ${NODES} nodes, seed ${runs.firstSeed}\n`);
    areAllGood = await playRuns(faults, runs, async (fault, seed) => {
      const { problems, recoverySeconds, verdict, notes } = await runFault(fault, seed, servers);
      const facts = [
        `${verdict?.acceptedCount ?? 0} accepted, ${verdict?.lost.length ?? '?'} lost, ${verdict?.duplicated.length ?? '?'} records twice, ${verdict?.repeatedSends ?? '?'} repeated sends`,
        `last outcome ${recoverySeconds?.toFixed(1)} s after the end`,
        ...notes,
      ];
      return { problems, facts };
    });
  } finally {
    await servers.stop();
  }
  if (areAllGood) rmSync(folder, { recursive: true, force: true });
  return areAllGood ? EXIT.done : EXIT.failed;
});
