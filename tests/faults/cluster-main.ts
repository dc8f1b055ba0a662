/**
 * `npm run test:cluster`: what becomes of every SMS while nodes of a RabbitMQ cluster of three die and come back, and how
 * long the sending pauses. With REDIAL_TEST_RABBITMQ=4 on RabbitMQ 4.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { readOverview } from '../../scripts/servers/private-rabbitmq.ts';
import { ensurePrograms } from '../../scripts/servers/private-servers.ts';
import { ensureRabbitMq4 } from '../../scripts/servers/rabbitmq-4.ts';
import { findProjectFolder } from '../../shared/environment.ts';
import { EXIT, runToExit } from '../../shared/exit-code.ts';
import { testedMajor } from '../../shared/testing/tested-rabbitmq.ts';
import { CLUSTER_FAULTS } from './cluster-faults.ts';
import { copyPrograms, startFaultServers } from './fault-servers.ts';
import { endAllProcesses } from './real-process.ts';
import { runFault } from './run-fault.ts';

const NODES = 3;

const options = new Command('test:cluster')
  .option('--only <names>', 'these faults, separated by commas')
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
  const say = (line: string) => console.error(line);
  await ensurePrograms(['redis', 'rabbitmq'], process.env.PATH ?? '', say);
  if (testedMajor() === '4') await ensureRabbitMq4({ projectFolder, environment: process.env }, say);

  const chosen = options.only?.split(',');
  const faults = CLUSTER_FAULTS.filter(({ name }) => chosen?.includes(name) ?? true);
  if (faults.length === 0 || (chosen !== undefined && faults.length < chosen.length))
    throw new Error(`--only must name some of ${CLUSTER_FAULTS.map(({ name }) => name).join(', ')}`);
  const firstSeed = options.seed === undefined ? Math.floor(Math.random() * 1e9) : Number(options.seed);
  const folder = mkdtempSync(join(tmpdir(), 'redial-cluster-'));
  const programFolder = copyPrograms(projectFolder, join(folder, 'programs'));
  const servers = await startFaultServers(join(folder, 'servers'), programFolder, NODES);
  let [runCount, failedCount] = [0, 0];
  try {
    const version = (await readOverview(servers.rabbitMq.managementUrl))?.rabbitmq_version;
    process.stdout.write(`RabbitMQ ${version}, ${NODES} nodes, seed ${firstSeed}\n`);
    for (const fault of faults) {
      for (let run = 0; run < Number(options.runs ?? fault.runs); run += 1) {
        const seed = firstSeed + run;
        const { problems, recoverySeconds, verdict, notes } = await runFault(fault, seed, servers);
        const facts = [
          `${verdict?.acceptedCount ?? 0} accepted, ${verdict?.lost.length ?? '?'} lost, ${verdict?.duplicated.length ?? '?'} records twice, ${verdict?.repeatedSends ?? '?'} repeated sends`,
          `last outcome ${recoverySeconds?.toFixed(1)} s after the end`,
          ...notes,
          ...problems,
        ];
        const word = problems.length === 0 ? 'ok    ' : 'FAILED';
        process.stdout.write(
          `${word} ${fault.name} seed ${seed}\n${facts.map((fact) => `       ${fact}\n`).join('')}`,
        );
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
