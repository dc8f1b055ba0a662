/** `npm run reset`: forgets what this QUEUE_NAME left behind, after saying what and asking. */
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { readCommandLine } from '../shared/command-line.ts';
import { type Config, loadConfig, managementOf, redisUrlOf } from '../shared/config.ts';
import { findProjectFolder, readEnvironment } from '../shared/environment.ts';
import { RedialError, ServerUnavailableError, UsageError } from '../shared/errors.ts';
import { EXIT, runToExit } from '../shared/exit-code.ts';
import { say, takesEscapes } from '../shared/output.ts';
import { findKeys } from './reset/find-keys.ts';
import { findObjects } from './reset/find-objects.ts';
import { findQueues } from './reset/find-queues.ts';
import type { Finding } from './reset/finding.ts';
import { removeComposeVolumes } from './servers/compose-servers.ts';
import { findLivingOwner } from './servers-file.ts';

await runToExit(main);

async function main(): Promise<number> {
  const line = readCommandLine(
    'npm run reset --',
    'Forgets the queues, Redis keys and S3 objects of this QUEUE_NAME, and .redial/.',
    [],
    (command) => command.option('--yes', 'do not ask'),
    process.argv.slice(2),
  );
  if (line === undefined) return EXIT.done;
  const isSure = line.options.yes === true;
  if (!isSure && process.stdin.isTTY !== true)
    throw new UsageError(
      'npm run reset asks before it forgets anything, and there is no terminal to ask on: add --yes (npm run reset -- --yes).',
    );

  const projectFolder = findProjectFolder();
  const owner = findLivingOwner(projectFolder);
  if (owner !== undefined)
    throw new RedialError(
      'ALREADY_RUNNING',
      `npm start runs in this checkout (process ${owner}): stop it with Ctrl-C there first.`,
    );

  const { findings, away } = await lookAround(projectFolder, loadConfig(readEnvironment(projectFolder)));
  say(findings.length === 0 ? 'There is nothing to forget.' : describeFindings(findings));
  if (away.length > 0) say(`Left alone, because nothing answers there: ${away.join(', ')}.`);
  if (findings.length === 0) return EXIT.done;
  for (const { warning } of findings) if (warning !== undefined) say(warning);
  if (!isSure && !(await ask('Forget all this? [y/N] '))) {
    say('Nothing was forgotten.');
    return EXIT.done;
  }
  for (const finding of findings) await finding.remove();
  say('Forgotten.');
  return EXIT.done;
}

function describeFindings(findings: readonly Finding[]): string {
  return ['This forgets:', ...findings.map(({ sentence }) => `  - ${sentence}`)].join('\n');
}

/** Of one server. */
interface Seen {
  readonly finding?: Finding | undefined;
  readonly away?: string;
}

const NOTHING_SEEN: Seen = {};

interface Surroundings {
  readonly findings: readonly Finding[];
  /** Servers that do not answer. */
  readonly away: readonly string[];
}

async function lookAround(projectFolder: string, config: Config): Promise<Surroundings> {
  const { awsEndpointUrl, awsAccessKeyId } = config;
  const hasS3 = awsEndpointUrl !== undefined || awsAccessKeyId !== undefined;
  const seen = await Promise.all([
    unlessAway(`RabbitMQ at ${managementOf(config).url}`, () => findQueues(config)),
    unlessAway(`Redis at ${new URL(redisUrlOf(config)).host}`, () => findKeys(config)),
    hasS3 ? unlessAway(`S3 at ${awsEndpointUrl ?? 'AWS'}`, () => findObjects(config)) : NOTHING_SEEN,
  ]);
  const findings = [...seen.map(({ finding }) => finding), findFolder(projectFolder)];
  return {
    findings: findings.filter((finding) => finding !== undefined),
    away: seen.map(({ away }) => away).filter((server) => server !== undefined),
  };
}

/** A server that is away holds nothing we could forget now; one that refuses us is an error. */
async function unlessAway(server: string, find: () => Promise<Finding | undefined>): Promise<Seen> {
  try {
    return { finding: await find() };
  } catch (error) {
    if (!(error instanceof ServerUnavailableError) || error.isRefusal) throw error;
    return { away: server };
  }
}

function findFolder(projectFolder: string): Finding | undefined {
  const folder = join(projectFolder, '.redial');
  if (!existsSync(folder)) return undefined;
  return {
    sentence:
      'the folder .redial (private servers with their data, logs) and the Docker volumes of npm start',
    async remove() {
      await removeComposeVolumes(projectFolder);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function ask(question: string): Promise<boolean> {
  const terminal = createInterface({
    ...{ input: process.stdin, output: process.stderr, terminal: takesEscapes(2) },
  });
  // Ctrl-D, or a Ctrl-C that the terminal is told of instead of us: nobody answers any more.
  const unanswered = new Promise<string>((resolve) => {
    terminal.once('close', () => resolve(''));
  });
  try {
    return /^y(es)?$/i.test((await Promise.race([terminal.question(question), unanswered])).trim());
  } finally {
    terminal.close();
  }
}
