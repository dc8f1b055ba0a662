/** What `cancel` and `retry-now` are about: ids, or a run. */
import type { Command, OptionValues } from 'commander';
import { printable } from '../../../shared/domain/printable.ts';
import { isRunName, isSmsId, RUN_NAME_RULE } from '../../../shared/domain/sms/sms.ts';
import { UsageError } from '../../../shared/errors.ts';

export type Aim =
  | { readonly kind: 'ids'; readonly ids: readonly string[] }
  | { readonly kind: 'run'; readonly run: string }
  /** Ids on stdin, one a line. */
  | { readonly kind: 'stdin' };

/** Ids that one command takes. */
export const MAX_IDS = 10_000;

export function declareAim(command: Command): void {
  command.option('--run <name>', 'all SMS of this run instead of ids');
  command.addHelpText('after', '\n"-" instead of ids reads them from stdin, one a line.');
}

/** @throws UsageError */
export function judgeAim({ run }: OptionValues, ids: readonly string[], command: string): Aim {
  const usage = (problem: string) => new UsageError(`producer ${command}: ${problem}`);
  if (run !== undefined && ids.length > 0) throw usage('give ids or --run, not both');
  if (run !== undefined) {
    if (!isRunName(run)) throw usage(`--run must be ${RUN_NAME_RULE}, got "${printable(String(run))}"`);
    return { kind: 'run', run };
  }
  if (ids.length === 1 && ids[0] === '-') return { kind: 'stdin' };
  return { kind: 'ids', ids: judgeIds(ids, command) };
}

/** Each id once. @throws UsageError */
export function judgeIds(ids: readonly string[], command: string): readonly string[] {
  const usage = (problem: string) => new UsageError(`producer ${command}: ${problem}`);
  if (ids.length === 0) throw usage('give ids of SMS, - for stdin, or --run NAME');
  const bad = ids.find((id): boolean => !isSmsId(id));
  if (bad !== undefined)
    throw usage(`"${printable(bad.slice(0, 200))}" is no id of an SMS (1 to 128 letters, digits, . _ : -)`);
  if (ids.length > MAX_IDS) throw usage(`at most ${MAX_IDS} ids at once, got ${ids.length}`);
  return [...new Set(ids)];
}
