/**
 * `npm run test:faults`: every fault as often as promised, and docs/faults.md from what was seen. Faults that leave
 * RabbitMQ alone share one broker and run several at a time; the others have a broker for themselves.
 * With REDIAL_TEST_RABBITMQ=4 or 4.3 all of it on that RabbitMQ, and for that RabbitMQ's page.
 *
 * Only a row with as many runs as promised is written, as soon as it has them. `--missing` plays the rows that have fewer,
 * and keeps each run, so that it can be stopped and gone on with.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command, Option } from 'commander';
import { findProjectFolder } from '../../shared/process/environment.ts';
import { copyPrograms } from '../kit/process/checkout.ts';
import { endProcessesOnSignals } from '../kit/process/running-process.ts';
import { ensureTestedRabbitMq, testedRelease } from '../kit/rabbitmq/tested-rabbitmq.ts';
import type { Fault } from './fault.ts';
import { FAULTS, faultNamed } from './kinds/catalogue.ts';
import { seedsLeft, shortFaults } from './page/fault-plan.ts';
import {
  isFull,
  pageOf,
  promisedRunsOf,
  readToldRuns,
  renderRow,
  renewPage,
  type SeenFault,
} from './page/fault-table.ts';
import { forgetRuns, keepRun, readKeptRuns } from './page/kept-runs.ts';
import { figuresOf, type RunFigures } from './page/run-figures.ts';
import { playFault, type RunResult } from './play-fault.ts';
import { type FaultServers, startFaultServers } from './servers/fault-servers.ts';

interface Options {
  readonly only?: string;
  readonly runs?: string;
  readonly seed?: string;
  readonly missing?: boolean;
  readonly lanes: string;
  readonly write?: boolean;
}

/** A fault, what has been seen of it, and what is still to be played. */
interface Row extends SeenFault {
  readonly firstSeed: number;
  readonly seeds: readonly number[];
  readonly runs: RunFigures[];
}

interface Task {
  readonly row: Row;
  readonly seed: number;
}

const projectFolder = findProjectFolder();
const page = pageOf(testedRelease());
const pagePath = join(projectFolder, 'docs', page.file);
const keptFile = join(projectFolder, '.redial', 'fault-runs', `${page.file}.ndjson`);

const options = new Command('test:faults')
  .option('--only <names>', 'these faults, separated by commas')
  .option('--runs <count>', 'so many runs of each, instead of as many as promised')
  .option('--seed <number>', 'seed of the first run; the next runs count on from it')
  .addOption(
    new Option('--missing', `the rows of docs/${page.file} with fewer runs than promised`).conflicts([
      'runs',
      'seed',
    ]),
  )
  .option('--lanes <count>', 'runs at a time, where they share RabbitMQ (else two at most)', '6')
  .option('--no-write', `leave docs/${page.file} as it is`)
  .parse()
  .opts<Options>();

await ensureTestedRabbitMq((line) => process.stderr.write(`${line}\n`));
const folder = mkdtempSync(join(tmpdir(), 'redial-faults-'));
const programFolder = copyPrograms(join(folder, 'programs'));
const build = readFileSync(join(programFolder, 'dist', '.stamp'), 'utf8');
const chosen = options.only === undefined ? FAULTS : options.only.split(',').map(faultNamed);
const rows = options.missing === true ? planMissing(chosen) : planAll(chosen);
const servers: FaultServers[] = [];
let isStopping = false;
// What was seen so far is not lost; runs that were cut off count for nothing.
endProcessesOnSignals(async () => {
  isStopping = true;
  finish();
  await Promise.all(servers.map((each) => each.stop()));
  removeFolder();
});

const tasksOf = (isAlone: boolean): Task[] =>
  rows
    .filter(({ fault }) => (fault.isAloneOnRabbitMq ?? false) === isAlone)
    .flatMap((row) => row.seeds.map((seed) => ({ row, seed })));
// Where the last session was stopped right before it wrote them.
for (const row of rows) writeRow(row);
await playAll(tasksOf(false), Number(options.lanes), ['shared']);
const alone = tasksOf(true);
const ownServers = ['alone-0', 'alone-1'].slice(0, alone.length);
await playAll(alone, ownServers.length, ownServers);
finish();
removeFolder();

function planAll(faults: readonly Fault[]): Row[] {
  const firstSeed = options.seed === undefined ? randomSeed() : Number(options.seed);
  const countOf = (fault: Fault) =>
    options.runs === undefined ? promisedRunsOf(page, fault) : Number(options.runs);
  process.stdout.write(`seed ${firstSeed}; again with: ${page.repeater} -- ${repetition(firstSeed)}\n`);
  return (
    faults
      .map((fault) => createRow(fault, firstSeed, seedsLeft(firstSeed, countOf(fault)), []))
      // The longest first, so that the lanes end together.
      .sort((left, right) => left.fault.runs - right.fault.runs)
  );
}

function planMissing(faults: readonly Fault[]): Row[] {
  const newSeed = randomSeed();
  const kept = readKeptRuns(keptFile, build);
  const planned = shortFaults(faults, readToldRuns(readPage()), (fault) => promisedRunsOf(page, fault)).map(
    (fault): Row => {
      const before = kept.filter((run) => run.fault === fault.name);
      const firstSeed = before[0]?.firstSeed ?? newSeed;
      const playedSeeds = before.map(({ seed }) => seed);
      const seeds = seedsLeft(firstSeed, promisedRunsOf(page, fault), playedSeeds);
      return createRow(
        fault,
        firstSeed,
        seeds,
        before.map(({ figures }) => figures),
      );
    },
  );
  const runCount = planned.reduce((sum, { seeds }) => sum + seeds.length, 0);
  process.stdout.write(
    planned.length === 0
      ? 'Every row has as many runs as promised.\n'
      : `${planned.length} rows have fewer runs than promised, ${runCount} runs are missing. Ctrl-C stops, the same command goes on.\n`,
  );
  return planned;
}

function createRow(fault: Fault, firstSeed: number, seeds: readonly number[], runs: RunFigures[]): Row {
  return { fault, firstSeed, seeds, runs, about: `${firstSeed}, ${new Date().toISOString().slice(0, 10)}` };
}

/** @param names of the servers; with as many as there are lanes each lane has its own */
async function playAll(tasks: Task[], laneCount: number, names: readonly string[]): Promise<void> {
  if (tasks.length === 0) return;
  for (const name of names) servers.push(await startFaultServers(join(folder, name), programFolder));
  const waiting = [...tasks];
  const runLane = async (own: FaultServers) => {
    for (let task = waiting.shift(); task !== undefined; task = waiting.shift()) {
      const result = await playFault(task.row.fault, task.seed, own);
      if (isStopping) return;
      record(task, result);
    }
  };
  const lanes = Array.from({ length: laneCount }, (_, lane) => servers[lane % servers.length]);
  await Promise.all(lanes.flatMap((own) => (own === undefined ? [] : runLane(own))));
  await Promise.all(servers.map((each) => each.stop()));
  servers.length = 0;
}

function record({ row, seed }: Task, result: RunResult): void {
  const { fault, firstSeed, runs } = row;
  const figures = figuresOf(result);
  runs.push(figures);
  if (options.missing === true) keepRun(keptFile, { fault: fault.name, firstSeed, seed, build, figures });
  report(row, seed, result);
  writeRow(row);
}

/** Renews the row as soon as it is full. */
function writeRow(row: Row): void {
  if (options.write === false || !isFull(page, row)) return;
  writeFileSync(pagePath, renewPage(page, readPage(), FAULTS, [row]));
  if (options.missing === true) forgetRuns(keptFile, row.fault.name);
}

function report({ fault, runs }: Row, seed: number, { problems, recoverySeconds, notes }: RunResult): void {
  const end = problems.length === 0 ? `recovered in ${recoverySeconds?.toFixed(1)} s` : problems.join('; ');
  const word = problems.length === 0 ? 'ok    ' : 'FAILED';
  process.stdout.write(
    `${word} ${fault.name} ${runs.length} of ${promisedRunsOf(page, fault)} seed ${seed}: ${[end, ...notes].join('; ')}\n`,
  );
  if (problems.length > 0)
    process.stdout.write(`       again: ${page.repeater} -- --only ${fault.name} --runs 1 --seed ${seed}\n`);
}

function finish(): void {
  const played = rows.filter(({ runs }) => runs.length > 0);
  process.stdout.write(`\n${played.map((row) => renderRow(page, row)).join('\n')}\n`);
  const shortCount = played.filter((row) => !isFull(page, row)).length;
  if (shortCount > 0)
    process.stdout.write(
      `\nfewer runs than promised were played of ${shortCount === 1 ? '1 fault' : `${shortCount} faults`}: docs/${page.file} keeps what it has\n`,
    );
  const failedCount = countFailed();
  const runCount = played.reduce((sum, { runs }) => sum + runs.length, 0);
  process.stdout.write(`\n${runCount - failedCount} runs passed, ${failedCount} failed\n`);
  process.exitCode = failedCount === 0 ? 0 : 1;
}

function countFailed(): number {
  return rows.flatMap(({ runs }) => runs).filter(({ hasFailed }) => hasFailed).length;
}

/** Logs of failed runs are kept. */
function removeFolder(): void {
  if (countFailed() === 0) rmSync(folder, { recursive: true, force: true });
}

function readPage(): string | undefined {
  return existsSync(pagePath) ? readFileSync(pagePath, 'utf8') : undefined;
}

function randomSeed(): number {
  return Math.floor(Math.random() * 1e9);
}

function repetition(firstSeed: number): string {
  return [
    ...(options.only === undefined ? [] : [`--only ${options.only}`]),
    ...(options.runs === undefined ? [] : [`--runs ${options.runs}`]),
    `--seed ${firstSeed}`,
  ].join(' ');
}
