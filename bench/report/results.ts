import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, release, totalmem } from 'node:os';
import { join } from 'node:path';
import type { BenchServers } from '../instruments/bench-servers.ts';
import type { Measurements, SubjectValues } from '../instruments/measurements.ts';
import type { Question } from '../question.ts';
import type { Verdict } from '../questions/thresholds.ts';
import { renderPage } from './page.ts';

/** Where and of what something was measured: figures without it say nothing. */
export interface Circumstances {
  /** ISO 8601. */
  readonly at: string;
  readonly command: string;
  /** Of the checkout; with `+` where files differed from it. */
  readonly commit: string;
  readonly rounds: number;
  readonly machine: {
    readonly processor: string;
    readonly cores: number;
    readonly memoryGigabytes: number;
    readonly system: string;
    /** Of the last minute, before the bench began: what else was busy. */
    readonly loadAverage: number;
  };
  readonly versions: { readonly node: string; readonly rabbitMq: string; readonly redis: string };
}

/** One question that was asked, and what came of it. */
export interface Answer {
  readonly question: Question;
  readonly measurements: Measurements;
  readonly verdicts: readonly Verdict[];
}

export async function readCircumstances(
  projectFolder: string,
  servers: BenchServers,
  rounds: number,
): Promise<Circumstances> {
  const git = (...args: string[]) =>
    execFileSync('git', args, { cwd: projectFolder, encoding: 'utf8' }).trim();
  const [, system = 'Linux'] = /^PRETTY_NAME="(.*)"$/m.exec(readFileSync('/etc/os-release', 'utf8')) ?? [];
  return {
    at: new Date().toISOString(),
    command: ['npm run bench', ...process.argv.slice(2)].join(' ').replace('bench ', 'bench -- '),
    commit: git('rev-parse', '--short', 'HEAD') + (git('status', '--porcelain') === '' ? '' : '+'),
    rounds,
    machine: {
      processor: cpus()[0]?.model ?? 'unknown',
      cores: availableParallelism(),
      memoryGigabytes: Math.round(totalmem() / 2 ** 30),
      system: `${system}, Linux ${release()}`,
      loadAverage: loadavg()[0] ?? 0,
    },
    versions: { node: process.versions.node, ...(await servers.versions()) },
  };
}

/** One line for people. */
export function describeInOneLine({ at, commit, rounds, machine, versions }: Circumstances): string {
  return (
    `${at.slice(0, 10)}, commit ${commit}, ${rounds === 1 ? '1 round' : `medians of ${rounds} rounds`}; ${machine.cores} cores ` +
    `(${machine.processor}), ${machine.memoryGigabytes} GB, ${machine.system}, load ${machine.loadAverage.toFixed(1)} before; ` +
    `Node.js ${versions.node}, RabbitMQ ${versions.rabbitMq}, Redis ${versions.redis}`
  );
}

/** Keeps what was measured as JSON and as a page that needs nothing else. @returns their path without ending */
export function keepResults(
  folder: string,
  circumstances: Circumstances,
  answers: readonly Answer[],
): string {
  mkdirSync(folder, { recursive: true });
  const minute = circumstances.at.slice(0, 16).replace(':', '');
  const path = join(folder, `${minute}Z-${circumstances.commit.replace('+', '')}`);
  writeFileSync(`${path}.json`, `${JSON.stringify(toPlain(circumstances, answers), null, 1)}\n`);
  writeFileSync(`${path}.html`, renderPage(circumstances, answers));
  return path;
}

function toPlain(circumstances: Circumstances, answers: readonly Answer[]) {
  return {
    ...circumstances,
    questions: answers.map(({ question, measurements, verdicts }) => ({
      name: question.name,
      title: question.title,
      method: question.method,
      /** Subject, measure, rounds. */
      values: Object.fromEntries<SubjectValues>(measurements.subjects),
      notes: measurements.notes,
      thresholds: verdicts.map(({ threshold, value, isReached }) => ({ ...threshold, value, isReached })),
    })),
  };
}
