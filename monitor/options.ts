import type { Command, OptionValues } from 'commander';
import { isRunName, RUN_NAME_RULE } from '../shared/domain/sms.ts';
import { UsageError } from '../shared/errors.ts';

/** What one call of the monitor is to do. */
export interface MonitorOptions {
  readonly mode: 'watch' | 'once' | 'audit';
  readonly isJson: boolean;
  readonly run: string | undefined;
}

export function declareOptions(command: Command): void {
  command
    .option('--once', 'show one snapshot and end')
    .option('--json', 'one JSON object per line on stdout, nothing else')
    .option(
      '--audit',
      'compare accepted SMS, outcomes in S3, counters and queues; exit 0 only if they balance',
    )
    .option('--run <name>', 'one run only');
}

/** @throws UsageError for a name that no run can have */
export function judgeOptions(values: OptionValues): MonitorOptions {
  const run: unknown = values.run;
  if (run !== undefined && !isRunName(run)) {
    throw new UsageError(`--run must be ${RUN_NAME_RULE}, got "${String(run)}"`);
  }
  const mode = values.audit === true ? 'audit' : values.once === true ? 'once' : 'watch';
  return { mode, isJson: values.json === true, run };
}
