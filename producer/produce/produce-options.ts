import type { Command, OptionValues } from 'commander';
import {
  hasRequestFields,
  readSendingRequest,
  type SendingRequest,
} from '../../shared/domain/sms/sending-request.ts';
import { isRunName, RUN_NAME_RULE } from '../../shared/domain/sms/sms.ts';
import { UsageError } from '../../shared/errors.ts';
import { optionReader } from '../read-option.ts';

/** The options of `producer` without a subcommand. */
export interface ProduceOptions {
  /** Undefined: the default for generated SMS, all rows of a file. */
  readonly maxSms: number | undefined;
  readonly run: string | undefined;
  readonly smsPerSecond: number | undefined;
  /** A path, or `-` for standard input; undefined: SMS are generated. */
  readonly file: string | undefined;
  /** When and how urgently the SMS are to be sent; undefined: at once, among all others. */
  readonly sending: SendingRequest | undefined;
  readonly isProgressWanted: boolean;
}

export const DEFAULT_SMS_COUNT = 1_000;
const MAX_SMS_COUNT = 999_999_999_999;
const MAX_SMS_PER_SECOND = 1_000_000;

export function declareProduceOptions(command: Command): void {
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
      'CSV or NDJSON with to, text and if wanted from, reference, id, sendAt, priority, validFor; - is standard input',
    )
    .option(
      '--send-at <time>',
      'when to send: 2026-12-01T09:00:00+01:00, or 10m from now; a row of the file may say another',
    )
    .option('--priority <name>', 'high, normal (default) or low; a row may say another')
    .option(
      '--valid-for <duration>',
      'send no later than so long after the acceptance or the --send-at (2s to a year); a row may say another',
    )
    .option('--no-progress', 'no progress bar');
}

/**
 * @param nowMs what `--send-at 10m` counts from
 * @throws UsageError naming every option that cannot be used
 */
export function judgeProduceOptions(values: OptionValues, nowMs: number): ProduceOptions {
  const problems: string[] = [];
  const read = optionReader(problems);
  const options: ProduceOptions = {
    maxSms: read(
      '--num-messages',
      values.numMessages,
      parseCount,
      `a whole number from 1 to ${MAX_SMS_COUNT}`,
    ),
    run: read('--run', values.run, (text) => (isRunName(text) ? text : undefined), RUN_NAME_RULE),
    smsPerSecond: read('--rate', values.rate, parseRate, `a number above 0, at most ${MAX_SMS_PER_SECOND}`),
    file: read('--file', values.file, (text) => (text === '' ? undefined : text), 'a path or -'),
    sending: judgeSending(values, nowMs, problems),
    isProgressWanted: values.progress !== false,
  };
  if (problems.length > 0) throw new UsageError(problems.join('\n'));
  return options;
}

const SENDING_FLAGS = { sendAt: '--send-at', priority: '--priority', validFor: '--valid-for' };

function judgeSending(values: OptionValues, nowMs: number, problems: string[]): SendingRequest | undefined {
  if (!hasRequestFields(values)) return undefined;
  const read = readSendingRequest(values, nowMs);
  if ('request' in read) return read.request;
  for (const { field, problem } of read.problems)
    problems.push(`${SENDING_FLAGS[field]}: "${values[field]}" ${problem}`);
  return undefined;
}

/** Undefined where the text is no number of SMS. */
export function parseCount(text: string): number | undefined {
  const count = /^\d+$/.test(text) ? Number(text) : 0;
  return count >= 1 && count <= MAX_SMS_COUNT ? count : undefined;
}

/** SMS per second; undefined where the text is no rate. */
export function parseRate(text: string): number | undefined {
  const rate = /^(\d+(\.\d*)?|\.\d+)$/.test(text) ? Number(text) : 0;
  return rate > 0 && rate <= MAX_SMS_PER_SECOND ? rate : undefined;
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
