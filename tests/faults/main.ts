/**
 * `npm run test:faults`: every fault as often as promised, and docs/faults.md from what was seen. Faults that leave
 * RabbitMQ alone share one broker and run several at a time; the others have a broker for themselves.
 * With REDIAL_TEST_RABBITMQ=4 all of it on RabbitMQ 4, and docs/faults-rabbitmq-4.md.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { findProjectFolder } from '../../shared/environment.ts';
import { testedMajor } from '../../shared/testing/tested-rabbitmq.ts';
import { FAULTS, faultNamed } from './catalogue.ts';
import type { Fault } from './fault.ts';
import { copyPrograms, type FaultServers, startFaultServers } from './fault-servers.ts';
import { describeRow, PAGE, PAGE_OF_4, renewPage } from './fault-table.ts';
import { endProcessesOnSignals } from './real-process.ts';
import { type RunResult, runFault } from './run-fault.ts';

interface Options {
  readonly only?: string;
  readonly runs?: string;
  readonly seed?: string;
  readonly lanes: string;
  readonly write?: boolean;
}

interface Task {
  readonly fault: Fault;
  readonly seed: number;
}

// What was seen so far is not lost.
endProcessesOnSignals(finish);

const ALONE_LANES = 2;
const page = testedMajor() === '4' ? PAGE_OF_4 : PAGE;
const pagePath = join(findProjectFolder(), 'docs', page.file);

const options = new Command('test:faults')
  .option('--only <names>', 'these faults, separated by commas')
  .option('--runs <count>', 'so many runs of each, instead of as many as promised')
  .option('--seed <number>', 'seed of the first run; the next runs count on from it')
  .option('--lanes <count>', 'runs at a time, where they share RabbitMQ (else two at most)', '6')
  .option('--no-write', `leave docs/${page.file} as it is`)
  .parse()
  .opts<Options>();

const faults = options.only === undefined ? FAULTS : options.only.split(',').map(faultNamed);
const firstSeed = options.seed === undefined ? Math.floor(Math.random() * 1e9) : Number(options.seed);
const results = new Map<Fault, RunResult[]>(faults.map((fault) => [fault, []]));
const folder = mkdtempSync(join(tmpdir(), 'redial-faults-'));
process.stdout.write(`seed ${firstSeed}; again with: ${page.repeater} -- ${repetition()}\n`);

const programFolder = copyPrograms(findProjectFolder(), join(folder, 'programs'));
const tasksOf = (isAlone: boolean): Task[] =>
  faults
    .filter((fault) => (fault.isAloneOnRabbitMq ?? false) === isAlone)
    .flatMap((fault) =>
      Array.from({ length: runsOf(fault) }, (_, index) => ({ fault, seed: firstSeed + index })),
    );
// The longest first, so that the lanes end together.
await runShared(
  tasksOf(false).sort((left, right) => left.fault.runs - right.fault.runs),
  Number(options.lanes),
);
await runAlone(tasksOf(true), ALONE_LANES);
finish();

function runsOf(fault: Fault): number {
  return options.runs === undefined ? fault.runs : Number(options.runs);
}

async function runShared(tasks: Task[], laneCount: number): Promise<void> {
  if (tasks.length === 0) return;
  const servers = await startFaultServers(join(folder, 'shared'), programFolder);
  try {
    await inLanes(tasks, laneCount, () => servers);
  } finally {
    await servers.stop();
  }
}

async function runAlone(tasks: Task[], laneCount: number): Promise<void> {
  if (tasks.length === 0) return;
  const count = Math.min(laneCount, tasks.length);
  const all: FaultServers[] = [];
  try {
    for (let lane = 0; lane < count; lane += 1)
      all.push(await startFaultServers(join(folder, `alone-${lane}`), programFolder));
    await inLanes(tasks, count, (lane) => all[lane] as FaultServers);
  } finally {
    await Promise.all(all.map((servers) => servers.stop()));
  }
}

async function inLanes(tasks: Task[], laneCount: number, serversOf: (lane: number) => FaultServers) {
  const waiting = [...tasks];
  const runLane = async (lane: number) => {
    for (let task = waiting.shift(); task !== undefined; task = waiting.shift()) {
      const result = await runFault(task.fault, task.seed, serversOf(lane));
      results.get(task.fault)?.push(result);
      report(task, result);
    }
  };
  await Promise.all(Array.from({ length: laneCount }, (_, lane) => runLane(lane)));
}

function report({ fault, seed }: Task, { problems, recoverySeconds, notes }: RunResult): void {
  const done = results.get(fault)?.length ?? 0;
  const end = problems.length === 0 ? `recovered in ${recoverySeconds?.toFixed(1)} s` : problems.join('; ');
  const word = problems.length === 0 ? 'ok    ' : 'FAILED';
  process.stdout.write(
    `${word} ${fault.name} ${done}/${runsOf(fault)} seed ${seed}: ${[end, ...notes].join('; ')}\n`,
  );
  if (problems.length > 0)
    process.stdout.write(`       again: ${page.repeater} -- --only ${fault.name} --runs 1 --seed ${seed}\n`);
}

function finish(): void {
  const about = `${firstSeed}, ${new Date().toISOString().slice(0, 10)}`;
  const rows = new Map(
    faults.map((fault) => [fault.name, describeRow(fault, results.get(fault) ?? [], about)]),
  );
  const text = renewPage(
    page,
    existsSync(pagePath) ? readFileSync(pagePath, 'utf8') : undefined,
    FAULTS.map(({ name }) => name),
    rows,
  );
  process.stdout.write(`\n${[...rows.values()].join('\n')}\n`);
  if (options.write !== false) writeFileSync(pagePath, text);
  const failedCount = [...results.values()].flat().filter(({ problems }) => problems.length > 0).length;
  const runCount = [...results.values()].flat().length;
  process.stdout.write(`\n${runCount - failedCount} runs passed, ${failedCount} failed\n`);
  if (failedCount === 0) rmSync(folder, { recursive: true, force: true });
  process.exitCode = failedCount === 0 ? 0 : 1;
}

function repetition(): string {
  return [
    ...(options.only === undefined ? [] : [`--only ${options.only}`]),
    ...(options.runs === undefined ? [] : [`--runs ${options.runs}`]),
    `--seed ${firstSeed}`,
  ].join(' ');
}
