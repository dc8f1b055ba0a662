import { randomBytes } from 'node:crypto';
import { isRunName, RUN_NAME_RULE } from '../../shared/domain/sms/sms.ts';
import { UsageError } from '../../shared/errors.ts';
import { readCommandLine } from '../../shared/process/command-line.ts';
import { SETTINGS } from '../../shared/process/config/config.ts';
import type { Environment } from '../../shared/process/environment.ts';

export interface RunOptions {
  readonly numMessages: number;
  readonly senders: number;
  readonly run: string;
  readonly keep: boolean;
}

/** What makes a first run quick: three waits of seconds and a carrier that fails often enough to see retries. */
export const QUICK_SETTINGS = {
  MEAN_PROCESSING_TIME: '0.2',
  FAILURE_RATE: '0.2',
  RETRY_SCHEDULE: '1s,2s,4s',
  RANDOM_SEED: '1',
} as const;

const maxSenders = 64;

/** Undefined where help was asked for and printed. @throws UsageError */
export function readRunOptions(argv: readonly string[], now: Date): RunOptions | undefined {
  const line = readCommandLine(
    'npm start --',
    'Brings up RabbitMQ, Redis and S3, sends SMS through them, shows what became of each, and stops what it started.',
    [],
    (command) =>
      command
        .option('--num-messages <number>', 'SMS to send', '1000')
        .option('--senders <number>', 'sender processes', '3')
        .option('--run <name>', 'name of the run (default: the time and six random characters)')
        .option('--keep', 'leave everything running until Ctrl-C'),
    argv,
  );
  if (line === undefined) return undefined;
  const { numMessages, senders, run, keep } = line.options as Record<string, string | true | undefined>;
  const problems: string[] = [];
  const options = {
    numMessages: readNumber('--num-messages', numMessages, Number.MAX_SAFE_INTEGER, problems),
    senders: readNumber('--senders', senders, maxSenders, problems),
    run: typeof run === 'string' ? run : nameRun(now),
    keep: keep === true,
  };
  if (!isRunName(options.run)) problems.push(`--run must be ${RUN_NAME_RULE}, got "${options.run}"`);
  if (problems.length > 0) throw new UsageError(problems.join('\n'));
  return options;
}

/** The settings that a first run shows: the environment's where it has them, else the quick ones. */
export function chooseSettings(environment: Environment): Record<keyof typeof QUICK_SETTINGS, string> {
  const entries = Object.entries(QUICK_SETTINGS).map(([name, quick]) => [name, environment[name] || quick]);
  return Object.fromEntries(entries) as Record<keyof typeof QUICK_SETTINGS, string>;
}

// Where servers are is told by their addresses; the others belong to one process each.
const NOT_SHARED = /^(RABBITMQ|REDIS|AWS|LOG)_|^(MONITOR_(UPDATE_INTERVAL|PORT|HOST|TOKEN)|HEARTBEAT_FILE)$/;

/** What a command in a second terminal needs to be told, beside addresses, to work like the processes of this run. */
export function sharedSettings(environment: Environment): Record<string, string> {
  const given = Object.values(SETTINGS).flatMap(({ name }) => {
    const value = environment[name] ?? '';
    return value === '' || NOT_SHARED.test(name) ? [] : [[name, value]];
  });
  return { ...Object.fromEntries(given), ...chooseSettings(environment) };
}

/** `start-20261122-101530-ab12cd`, the time in UTC. */
export function nameRun(now: Date, random: string = randomBytes(3).toString('hex')): string {
  const time = now.toISOString().replace(/[-:]/g, '').replace('T', '-').slice(0, 15);
  return `start-${time}-${random}`;
}

function readNumber(flag: string, text: string | true | undefined, max: number, problems: string[]): number {
  const number = typeof text === 'string' && /^\d{1,16}$/.test(text) ? Number(text) : 0;
  if (number < 1 || number > max)
    problems.push(`${flag} must be a whole number from 1 to ${max}, got "${text}"`);
  return number;
}
