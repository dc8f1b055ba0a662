import type { Command, OptionValues } from 'commander';
import { isRunName, RUN_NAME_RULE } from '../shared/domain/sms/sms.ts';
import { UsageError } from '../shared/errors.ts';
import { type Condition, readCondition } from './wait/condition.ts';

/** What one call of the monitor is to do. */
export interface MonitorOptions {
  readonly mode: 'watch' | 'once' | 'audit' | 'parked' | 'wait';
  readonly isJson: boolean;
  /** Lines, also on a terminal. */
  readonly isPlain: boolean;
  readonly run: string | undefined;
  /** Of parked messages. */
  readonly areBodiesShown: boolean;
  /** Of a wait: what makes it end with exit code 99. */
  readonly failIf: readonly Condition[];
}

/** Flags of the page, as typed. */
interface PageFlags {
  readonly monitorPort?: string;
  readonly monitorHost?: string;
}

export function declareOptions(command: Command): void {
  command
    .option('--once', 'show one snapshot and end')
    .option('--plain', 'a line for each snapshot, also on a terminal')
    .option('--json', 'one JSON object per line on stdout, nothing else')
    .option(
      '--audit',
      'compare accepted SMS, outcomes in S3, counters and queues; exit 0 only if they balance',
    )
    .option(
      '--parked',
      'list what is parked and why, from the records in S3; with --json one object for each',
    )
    .option('--bodies', 'with --parked: also how each body begins, phone numbers and texts included')
    .option(
      '--wait',
      'end when every accepted SMS has its outcome, with a summary; with --run wait for the run to begin, too',
    )
    .option(
      '--fail-if <condition>',
      'with --wait, again and again: exit 99 where it holds, such as "failed>2%" or "latenessP99>1s"',
      (condition: string, before: string[]) => [...before, condition],
      [],
    )
    .option('--run <name>', 'one run only');
}

/** @throws UsageError for a name that no run can have, a condition that cannot be read, and options that do not go together */
export function judgeOptions(values: OptionValues, page: PageFlags = {}): MonitorOptions {
  const run: unknown = values.run;
  if (run !== undefined && !isRunName(run)) {
    throw new UsageError(`--run must be ${RUN_NAME_RULE}, got "${String(run)}"`);
  }
  const mode = modeOf(values);
  if ((page.monitorPort ?? page.monitorHost) !== undefined && mode !== 'watch')
    throw new UsageError(
      '--port and --host are of the page: they go without --once, --audit, --parked and --wait',
    );
  const areBodiesShown = values.bodies === true;
  if (areBodiesShown && mode !== 'parked') throw new UsageError('--bodies goes with --parked only');
  const failIf = ((values.failIf ?? []) as string[]).map(readCondition);
  if (failIf.length > 0 && mode !== 'wait') throw new UsageError('--fail-if goes with --wait only');
  return { mode, isJson: values.json === true, isPlain: values.plain === true, run, areBodiesShown, failIf };
}

function modeOf({ audit, parked, once, wait }: OptionValues): MonitorOptions['mode'] {
  if (wait === true) {
    if (audit === true || parked === true || once === true)
      throw new UsageError('--wait goes without --once, --audit and --parked');
    return 'wait';
  }
  if (audit === true) return 'audit';
  if (parked === true) return 'parked';
  return once === true ? 'once' : 'watch';
}
