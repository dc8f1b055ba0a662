/**
 * `npm run bench`: asks each question round by round, prints a table, and judges what must be reached. Everything is
 * private to it: one RabbitMQ, one Redis, one S3 server, and the built commands as processes of their own.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { findProjectFolder } from '../shared/environment.ts';
import { UsageError } from '../shared/errors.ts';
import { EXIT, runToExit } from '../shared/exit-code.ts';
import { copyPrograms } from '../tests/faults/fault-servers.ts';
import { BenchServers } from './instruments/bench-servers.ts';
import { endAllPrograms } from './instruments/program.ts';
import type { Bench, Question } from './question.ts';
import { QUESTIONS } from './questions.ts';
import { describeTable } from './report/table.ts';
import { describeVerdict, judge, type Verdict } from './thresholds.ts';

interface Options {
  readonly only?: string;
  readonly rounds?: string;
  readonly quick?: boolean;
  readonly write?: boolean;
}

const FULL_ROUNDS = 5;
const QUICK_ROUNDS = 2;

// The servers see our end by themselves.
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    endAllPrograms();
    process.kill(process.pid, signal);
  });
}

await runToExit(async () => {
  const options = new Command('bench')
    .option('--only <names>', `these questions, separated by commas: ${QUESTIONS.map(({ name }) => name)}`)
    .option('--rounds <count>', `so many rounds (default ${FULL_ROUNDS}, ${QUICK_ROUNDS} with --quick)`)
    .option('--quick', 'small counts, under 3 minutes; exit code 99 where a ratio is more than 20 % short')
    .option('--no-write', 'keep no results')
    .parse()
    .opts<Options>();
  const isQuick = options.quick === true;
  const rounds = Number(options.rounds ?? (isQuick ? QUICK_ROUNDS : FULL_ROUNDS));
  if (!Number.isInteger(rounds) || rounds < 1) throw new UsageError('--rounds must be a whole number from 1');
  const questions = options.only === undefined ? QUESTIONS : options.only.split(',').map(questionNamed);

  const projectFolder = findProjectFolder();
  const folder = mkdtempSync(join(tmpdir(), 'redial-bench-'));
  const say = (line: string) => process.stderr.write(`${line}\n`);
  const started: BenchServers[] = [];
  const startServers = async (name: string) => {
    const servers = await BenchServers.start(join(folder, name));
    started.push(servers);
    return servers;
  };
  const verdicts: Verdict[] = [];
  try {
    const bench: Bench = {
      servers: await startServers('servers'),
      startMoreServers: startServers,
      programFolder: copyPrograms(projectFolder, join(folder, 'programs')),
      projectFolder,
      folder,
      isQuick,
      rounds,
      say,
    };
    for (const question of questions) {
      say(`${question.name}: ${question.title}`);
      const measurements = await question.ask(bench);
      verdicts.push(...judge(question.name, measurements));
      process.stdout.write(`\n## ${question.title}\n\n${describeTable(measurements)}\n\n`);
      for (const note of measurements.notes) process.stdout.write(`${note}\n`);
    }
  } finally {
    endAllPrograms();
    await Promise.all(started.map((servers) => servers.stop()));
    rmSync(folder, { recursive: true, force: true });
  }
  for (const verdict of verdicts) process.stdout.write(`${describeVerdict(verdict)}\n`);
  return verdicts.some((verdict) => isMissed(verdict, isQuick)) ? EXIT.thresholdMissed : EXIT.done;
});

function questionNamed(name: string): Question {
  const question = QUESTIONS.find((each) => each.name === name);
  if (question === undefined)
    throw new UsageError(`no question is called "${name}": ${QUESTIONS.map((each) => each.name).join(', ')}`);
  return question;
}

/** A short run judges ratios only, and forgives a fifth. */
function isMissed({ threshold, isReached, isFarOff }: Verdict, isQuick: boolean): boolean {
  if (threshold.isStretch === true) return false;
  return isQuick ? threshold.isRatio && isFarOff : !isReached;
}
