/** `npm run reset`: forgets what this QUEUE_NAME left behind, after saying what and asking. */
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { RedialError, ServerUnavailableError, UsageError } from '../../shared/errors.ts';
import { readCommandLine } from '../../shared/process/command-line.ts';
import { type Config, loadConfig } from '../../shared/process/config/config.ts';
import { managementOf } from '../../shared/process/config/rabbitmq.ts';
import { redisUrlOf } from '../../shared/process/config/redis.ts';
import { findLivingOwner, findProjectFolder, readEnvironment } from '../../shared/process/environment.ts';
import { EXIT, runToExit } from '../../shared/process/exit-code.ts';
import { say, takesEscapes } from '../../shared/process/output.ts';
import { removeComposeVolumes } from '../servers/compose/compose-servers.ts';
import { findKeys } from './find-keys.ts';
import { findObjects } from './find-objects.ts';
import { findQueues } from './find-queues.ts';
import type { Finding } from './finding.ts';

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

async function lookAround(projectFolder: string, config: Config) {
  const { awsEndpointUrl, awsAccessKeyId } = config;
  const hasS3 = awsEndpointUrl !== undefined || awsAccessKeyId !== undefined;
  const seen = await Promise.all([
    unlessAway(`RabbitMQ at ${managementOf(config).url}`, () => findQueues(config)),
    unlessAway(`Redis at ${new URL(redisUrlOf(config)).host}`, () => findKeys(config)),
    hasS3 ? unlessAway(`S3 at ${awsEndpointUrl ?? 'AWS'}`, () => findObjects(config)) : undefined,
    findFolder(projectFolder),
  ]);
  const found = seen.filter((each) => each !== undefined);
  return {
    findings: found.filter((each) => typeof each !== 'string'),
    /** Servers that do not answer. */
    away: found.filter((each) => typeof each === 'string'),
  };
}

/** What was found, or the server where it is away: nothing can be forgotten there now. One that refuses us is an error. */
async function unlessAway(
  server: string,
  find: () => Promise<Finding | undefined>,
): Promise<Finding | string | undefined> {
  try {
    return await find();
  } catch (error) {
    if (!(error instanceof ServerUnavailableError) || error.isRefusal) throw error;
    return server;
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
  const streams = { input: process.stdin, output: process.stderr };
  const terminal = createInterface({ ...streams, terminal: takesEscapes(2) });
  // After Ctrl-D, or a Ctrl-C that the terminal takes for itself, nobody answers any more.
  const unanswered = new Promise<string>((resolve) => {
    terminal.once('close', () => resolve(''));
  });
  try {
    return /^y(es)?$/i.test((await Promise.race([terminal.question(question), unanswered])).trim());
  } finally {
    terminal.close();
  }
}
