/**
 * `npm run bench`: asks each question round by round, prints a table, and judges what must be reached. Everything is
 * private to it: one RabbitMQ, one Redis, one S3 server, and the built commands as processes of their own.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { UsageError } from '../shared/errors.ts';
import { parseCommandLine } from '../shared/process/command-line.ts';
import { findProjectFolder } from '../shared/process/environment.ts';
import { EXIT, runToExit } from '../shared/process/exit-code.ts';
import { say, writeData } from '../shared/process/output.ts';
import { copyPrograms } from '../tests/kit/process/checkout.ts';
import { endAllProcesses, endProcessesOnSignals } from '../tests/kit/process/running-process.ts';
import { BenchServers } from './instruments/bench-servers.ts';
import type { Question } from './question.ts';
import { QUESTIONS } from './questions/questions.ts';
import { describeVerdict, judge, type Verdict } from './questions/thresholds.ts';
import { renewReadme } from './report/readme.ts';
import { type Answer, type Circumstances, keepResults, readCircumstances } from './report/results.ts';
import { renderTable } from './report/table.ts';

interface Options {
  readonly only?: string;
  readonly rounds?: string;
  readonly quick?: boolean;
  readonly write?: boolean;
}

const FULL_ROUNDS = 5;

const projectFolder = findProjectFolder();
const folder = mkdtempSync(join(tmpdir(), 'redial-bench-'));
const startedServers: BenchServers[] = [];

endProcessesOnSignals(cleanUp);

await runToExit(async () => {
  try {
    const options = readOptions();
    return options === undefined ? EXIT.done : await runBench(options);
  } finally {
    await cleanUp();
  }
});

/** Undefined where help was asked for, and given. @throws UsageError */
function readOptions(): Options | undefined {
  const command = new Command('bench')
    .option('--only <names>', `these questions, separated by commas: ${namesOf(QUESTIONS)}`)
    .option('--rounds <count>', `measure everything so many times (default ${FULL_ROUNDS})`)
    .option(
      '--quick',
      'ratios alone, small counts, under 3 minutes; exit code 99 where one is over 20 % short',
    )
    .option('--no-write', 'keep no results');
  return parseCommandLine(command, process.argv.slice(2));
}

async function runBench(options: Options): Promise<number> {
  const isQuick = options.quick === true;
  const rounds = options.rounds === undefined ? undefined : readCount(options.rounds);
  const questions = chooseQuestions(options.only, isQuick);
  const servers = await startServers('servers');
  const programFolder = copyPrograms(join(folder, 'programs'));
  const circumstances = await readCircumstances(projectFolder, servers, rounds ?? FULL_ROUNDS);
  const answers: Answer[] = [];
  for (const question of questions) {
    const reason = question.whyNotAsked?.(circumstances.versions.rabbitMq);
    if (reason !== undefined) {
      await writeData(`${question.name} is skipped: ${reason}\n`);
      continue;
    }
    say(`${question.name}: ${question.title}`);
    const measurements = await question.ask({
      ...{ servers, programFolder, projectFolder, folder, isQuick, say },
      startMoreServers: startServers,
      rounds: rounds ?? (isQuick ? (question.quickRounds ?? 1) : FULL_ROUNDS),
    });
    answers.push({ question, measurements, verdicts: judge(question.name, measurements) });
    await writeData(`\n## ${question.title}\n\n${renderTable(measurements)}\n\n`);
    for (const note of measurements.notes) await writeData(`${note}\n`);
  }
  if (answers.length > 0 && !isQuick && options.write !== false) await keep(circumstances, answers);
  const verdicts = answers.flatMap((answer) => answer.verdicts);
  for (const verdict of verdicts) await writeData(`${describeVerdict(verdict)}\n`);
  return verdicts.some((verdict) => isMissed(verdict, isQuick)) ? EXIT.thresholdMissed : EXIT.done;
}

function chooseQuestions(only: string | undefined, isQuick: boolean): readonly Question[] {
  if (only !== undefined) return only.split(',').map(questionNamed);
  return isQuick ? QUESTIONS.filter(({ quickRounds }) => quickRounds !== undefined) : QUESTIONS;
}

async function keep(circumstances: Circumstances, answers: readonly Answer[]): Promise<void> {
  const path = keepResults(join(projectFolder, 'bench', 'results'), circumstances, answers);
  const readme = join(projectFolder, 'bench', 'README.md');
  const page = existsSync(readme) ? readFileSync(readme, 'utf8') : undefined;
  writeFileSync(readme, renewReadme(page, QUESTIONS, circumstances, answers));
  await writeData(`kept as ${path}.json, and with plots as ${path}.html\n`);
}

async function startServers(name: string): Promise<BenchServers> {
  const servers = await BenchServers.start(join(folder, name));
  startedServers.push(servers);
  return servers;
}

async function cleanUp(): Promise<void> {
  endAllProcesses();
  await Promise.all(startedServers.map((servers) => servers.stop()));
  rmSync(folder, { recursive: true, force: true });
}

function readCount(text: string): number {
  if (!/^[1-9]\d{0,3}$/.test(text)) throw new UsageError('--rounds must be a whole number from 1 to 9999');
  return Number(text);
}

function questionNamed(name: string): Question {
  const question = QUESTIONS.find((each) => each.name === name);
  if (question === undefined) throw new UsageError(`no question is called "${name}": ${namesOf(QUESTIONS)}`);
  return question;
}

/** A short run judges ratios only, and forgives a fifth. */
function isMissed({ threshold, isReached, isFarOff }: Verdict, isQuick: boolean): boolean {
  if (threshold.isStretch === true) return false;
  return isQuick ? threshold.isRatio && isFarOff : !isReached;
}

function namesOf(questions: readonly Question[]): string {
  return questions.map(({ name }) => name).join(', ');
}
