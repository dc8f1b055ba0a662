/** What the commands share that play each of some cases several times, each time with another seed. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { ensurePrograms } from '../../scripts/servers/private/private-servers.ts';
import { findProjectFolder } from '../../shared/process/environment.ts';
import { EXIT, runToExit } from '../../shared/process/exit-code.ts';
import { copyPrograms } from '../kit/process/checkout.ts';
import { endProcessesOnSignals } from '../kit/process/running-process.ts';
import { ensureTestedRabbitMq } from '../kit/rabbitmq/tested-rabbitmq.ts';
import { type FaultServers, startFaultServers } from './servers/fault-servers.ts';

interface SeededCase {
  /** For `--only`. */
  readonly name: string;
  /** How often it is played where the command line does not say. */
  readonly runs: number;
}

export interface PlayedRun {
  /** What is wrong, as sentences; empty in a good run. */
  readonly problems: readonly string[];
  readonly facts?: readonly string[];
}

type Play<Case> = (each: Case, seed: number, servers: FaultServers) => Promise<PlayedRun>;

/**
 * The whole command: reads the command line, starts servers, plays the cases and prints what became of each run.
 * @param begin is told the servers, the project and a temporary folder that is kept where a run failed
 */
export async function runSeededCases<Case extends SeededCase>(
  command: string,
  cases: readonly Case[],
  nodeCount: number,
  begin: (servers: FaultServers, projectFolder: string, folder: string) => Promise<Play<Case>>,
): Promise<void> {
  const names = cases.map(({ name }) => name);
  const { only, runs, seed } = new Command(command)
    .option('--only <names>', `some of ${names.join(', ')}, separated by commas`)
    .option('--runs <count>', 'so many runs of each')
    .option('--seed <number>', 'seed of the first run; the next runs count on from it')
    .parse()
    .opts<{ only?: string; runs?: string; seed?: string }>();
  const firstSeed = seed === undefined ? Math.floor(Math.random() * 1e9) : Number(seed);
  endProcessesOnSignals();
  await runToExit(async () => {
    const wanted = only?.split(',') ?? names;
    if (wanted.some((name) => !names.includes(name)))
      throw new Error(`--only must name some of ${names.join(', ')}`);
    const say = (line: string) => console.error(line);
    await ensurePrograms(['redis', 'rabbitmq'], process.env.PATH ?? '', say);
    await ensureTestedRabbitMq(say);
    const projectFolder = findProjectFolder();
    const folder = mkdtempSync(join(tmpdir(), `redial-${command.replace(':', '-')}-`));
    const programFolder = copyPrograms(join(folder, 'programs'));
    const servers = await startFaultServers(join(folder, 'servers'), programFolder, nodeCount);
    let failedCount = 0;
    try {
      const play = await begin(servers, projectFolder, folder);
      process.stdout.write(`seed ${firstSeed}\n`);
      const tasks = cases
        .filter(({ name }) => wanted.includes(name))
        .flatMap((each) => Array.from({ length: Number(runs ?? each.runs) }, (_, run) => ({ each, run })));
      for (const { each, run } of tasks) {
        const { problems, facts = [] } = await play(each, firstSeed + run, servers);
        const word = problems.length === 0 ? 'ok    ' : 'FAILED';
        const lines = [...facts, ...problems].map((line) => `       ${line}\n`);
        process.stdout.write(`${word} ${each.name} seed ${firstSeed + run}\n${lines.join('')}`);
        if (problems.length > 0) failedCount += 1;
      }
      process.stdout.write(`\n${tasks.length - failedCount} runs passed, ${failedCount} failed\n`);
    } finally {
      await servers.stop();
    }
    if (failedCount === 0) rmSync(folder, { recursive: true, force: true });
    return failedCount === 0 ? EXIT.done : EXIT.failed;
  });
}
