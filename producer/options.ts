import type { Command, OptionValues } from 'commander';
import { isRunName, RUN_NAME_RULE } from '../shared/domain/sms.ts';
import { UsageError } from '../shared/errors.ts';

export interface ProducerOptions {
  /** Publish a run, or move on what is overdue in the retry queues. */
  readonly mode: 'produce' | 'requeue-overdue';
  /** Undefined: the default for generated SMS, all rows of a file. */
  readonly maxSms: number | undefined;
  readonly run: string | undefined;
  readonly smsPerSecond: number | undefined;
  /** A path, or `-` for standard input; undefined: SMS are generated. */
  readonly file: string | undefined;
  readonly isJson: boolean;
  readonly isProgressWanted: boolean;
}

export const DEFAULT_SMS_COUNT = 1_000;
const MAX_SMS_COUNT = 999_999_999_999;
const MAX_SMS_PER_SECOND = 1_000_000;

export function declareOptions(command: Command): void {
  command
    .option(
      '--num-messages <count>',
      `how many SMS (default ${DEFAULT_SMS_COUNT}; with --file: at most that many rows)`,
    )
    .option(
      '--run <name>',
      'name of the run, first part of the SMS ids (default: the time and six characters)',
    )
    .option('--rate <per-second>', 'SMS per second (default: as fast as RabbitMQ confirms)')
    .option(
      '--file <path>',
      'CSV or NDJSON with to, text and if wanted from, reference, id; - is standard input',
    )
    .option(
      '--requeue-overdue',
      'instead of producing: move SMS that are stuck in a retry queue past their time to the due queue',
    )
    .option('--json', 'print the summary as one JSON object')
    .option('--no-progress', 'no progress bar');
}

/** @throws UsageError naming every option that cannot be used */
export function judgeOptions(values: OptionValues): ProducerOptions {
  const problems: string[] = [];
  const read = <Value>(
    flag: string,
    text: unknown,
    parse: (text: string) => Value | undefined,
    rule: string,
  ) => {
    if (typeof text !== 'string') return undefined;
    const value = parse(text);
    if (value === undefined) problems.push(`${flag} must be ${rule}, got "${text}"`);
    return value;
  };
  const options: ProducerOptions = {
    mode: values.requeueOverdue === true ? 'requeue-overdue' : 'produce',
    maxSms: read(
      '--num-messages',
      values.numMessages,
      parseCount,
      `a whole number from 1 to ${MAX_SMS_COUNT}`,
    ),
    run: read('--run', values.run, parseRun, RUN_NAME_RULE),
    smsPerSecond: read('--rate', values.rate, parseRate, `a number above 0, at most ${MAX_SMS_PER_SECOND}`),
    file: read('--file', values.file, (text) => (text === '' ? undefined : text), 'a path or -'),
    isJson: values.json === true,
    isProgressWanted: values.progress !== false,
  };
  if (options.mode === 'requeue-overdue') problems.push(...judgeCompany(values));
  if (problems.length > 0) throw new UsageError(problems.join('\n'));
  return options;
}

const ONLY_WHEN_PRODUCING = { numMessages: '--num-messages', file: '--file', rate: '--rate', run: '--run' };

/** The flags that mean nothing beside --requeue-overdue. */
function judgeCompany(values: OptionValues): string[] {
  const given = Object.entries(ONLY_WHEN_PRODUCING).filter(([name]) => values[name] !== undefined);
  if (given.length === 0) return [];
  const flags = given.map(([, flag]) => flag).join(', ');
  return [`--requeue-overdue produces nothing, so it cannot be used with ${flags}`];
}

function parseCount(text: string): number | undefined {
  const count = /^\d+$/.test(text) ? Number(text) : 0;
  return count >= 1 && count <= MAX_SMS_COUNT ? count : undefined;
}

function parseRate(text: string): number | undefined {
  const rate = /^(\d+(\.\d*)?|\.\d+)$/.test(text) ? Number(text) : 0;
  return rate > 0 && rate <= MAX_SMS_PER_SECOND ? rate : undefined;
}

function parseRun(text: string): string | undefined {
  return isRunName(text) ? text : undefined;
}

/** `20261122-101530-k3x9ab`: the time in UTC and six random characters. */
export function makeRunName(nowMs: number, randomText: string): string {
  const time = new Date(nowMs).toISOString().slice(0, 19).replaceAll(/[-:]/g, '').replace('T', '-');
  return `${time}-${randomText}`;
}

/** Six characters, 0–9 and a–z. */
export function makeRandomText(random: () => number): string {
  return Array.from({ length: 6 }, () => Math.floor(random() * 36).toString(36)).join('');
}
