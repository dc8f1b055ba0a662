/** The options of `producer redrive`. */
import type { Command, OptionValues } from 'commander';
import { parseDuration } from '../../../shared/domain/schedule/duration.ts';
import { parseMoment } from '../../../shared/domain/schedule/moment.ts';
import { isRunName, RUN_NAME_RULE } from '../../../shared/domain/sms/sms.ts';
import { UsageError } from '../../../shared/errors.ts';
import { parseCount, parseRate } from '../../produce/produce-options.ts';
import { optionReader } from '../../read-option.ts';
import { parseNumberPattern, type Selection } from './selection.ts';

export interface RedriveOptions {
  readonly selection: Selection;
  /** The new run; undefined: a name is made up. */
  readonly run: string | undefined;
  /** Of the selected ones the first so many. */
  readonly maxSms: number | undefined;
  readonly smsPerSecond: number | undefined;
  readonly isDryRun: boolean;
}

export function declareRedrive(command: Command): void {
  command
    .option('--status <status>', 'failed or parked: which outcomes to send again')
    .option('--reason <text>', 'only those with exactly this reason')
    .option('--since <time>', 'only outcomes since then: 2026-12-01T09:00:00+01:00, or 2h for two hours ago')
    .option('--until <time>', 'only outcomes before then, written alike')
    .option('--to <pattern>', 'only these phone numbers: * stands for any digits, as in "+1555*"')
    .option('--run-of <name>', 'only SMS of this run')
    .option(
      '--run <name>',
      'name of the new run; the same name again goes on (default: the time and six characters)',
    )
    .option('--max <count>', 'no more than the first so many of them')
    .option('--rate <per-second>', 'SMS per second (default: as fast as RabbitMQ moves them)')
    .option('--dry-run', 'send nothing, and count them by reason');
}

/**
 * @param nowMs what `--since 2h` counts back from
 * @throws UsageError naming every option that cannot be used
 */
export function judgeRedrive(values: OptionValues, nowMs: number): RedriveOptions {
  const problems: string[] = [];
  const read = optionReader(problems, 'producer redrive: ');
  const readTime = (flag: string, text: unknown) =>
    read(
      flag,
      text,
      (each) => parsePast(each, nowMs),
      'a time (2026-12-01T09:00:00+01:00, or 2h for two hours ago)',
    );
  const readRun = (flag: string, text: unknown) =>
    read(flag, text, (each) => (isRunName(each) ? each : undefined), RUN_NAME_RULE);
  const status = read('--status', values.status ?? '', parseStatus, 'failed or parked');
  const selection = {
    status: status ?? 'failed',
    reason: read('--reason', values.reason, (text) => text || undefined, 'the reason of an outcome'),
    sinceMs: readTime('--since', values.since),
    untilMs: readTime('--until', values.until),
    to: read('--to', values.to, parseNumberPattern, 'a phone number with * for any digits, such as +1555*'),
    runOf: readRun('--run-of', values.runOf),
  };
  if (status === 'parked' && values.to !== undefined)
    problems.push(
      'producer redrive: --to cannot be used with --status parked: what is parked has no number that can be read',
    );
  const options = {
    selection,
    run: readRun('--run', values.run),
    maxSms: read('--max', values.max, parseCount, 'a whole number above 0'),
    smsPerSecond: read('--rate', values.rate, parseRate, 'a number above 0'),
    isDryRun: values.dryRun === true,
  };
  if (problems.length > 0) throw new UsageError(problems.join('\n'));
  return options;
}

function parseStatus(text: string): Selection['status'] | undefined {
  return text === 'failed' || text === 'parked' ? text : undefined;
}

function parsePast(text: string, nowMs: number): number | undefined {
  const durationMs = parseDuration(text);
  if (durationMs !== undefined) return nowMs - durationMs;
  const read = parseMoment(text, nowMs);
  return 'momentMs' in read ? read.momentMs : undefined;
}
