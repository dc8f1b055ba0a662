/** Reads the outcomes that are to be sent again, each SMS once. */
import type { OutcomeRecord } from '../../../shared/domain/outcome/outcome.ts';
import type { Archive } from '../../../shared/pipeline/archive/archive.ts';
import { SeenIds } from '../../produce/input/seen-ids.ts';
import { redrivenOf } from './redriven-sms.ts';
import type { DryRunSummary } from './report.ts';
import { isSelected, type Selection } from './selection.ts';

export interface Choice {
  readonly selection: Selection;
  /** The run of the redrive: its own SMS are not sent again. */
  readonly run: string;
  readonly maxSms: number | undefined;
}

// A record comes to an object that is open, so it may be a little younger than its object. Clocks differ, too.
const OLDER_OBJECTS_MS = 3_600_000;
/** Reasons of carriers that are counted by name. */
const MAX_REASONS = 1_000;
const OTHER_REASONS = 'other reasons';

/** In the order of the objects. @throws what the archive throws */
export async function* selectOutcomes(
  archive: Archive,
  { selection, run, maxSms = Infinity }: Choice,
): AsyncGenerator<OutcomeRecord> {
  const seen = new SeenIds();
  let count = 0;
  const openedSinceMs = (selection.sinceMs ?? Number.NEGATIVE_INFINITY) - OLDER_OBJECTS_MS;
  for await (const { records } of archive.outcomes([selection.status], openedSinceMs)) {
    for (const record of records) {
      if (record.run === run || !isSelected(record, selection)) continue;
      // After a crash an SMS may have two records.
      if (seen.meet(record.smsId, count + 1) !== undefined) continue;
      count += 1;
      yield record;
      if (count >= maxSms) return;
    }
  }
}

/** Groups what would be sent again by its reason. @param run any name: it changes no count */
export async function summarizeDryRun(
  records: AsyncIterable<OutcomeRecord>,
  status: Selection['status'],
  run: string,
): Promise<DryRunSummary> {
  const counts = new Map<string, number>();
  let selected = 0;
  let left = 0;
  for await (const record of records) {
    selected += 1;
    if ('problem' in redrivenOf(record, run)) left += 1;
    const reason = record.reason ?? '';
    const name = counts.has(reason) || counts.size < MAX_REASONS ? reason : OTHER_REASONS;
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  const byReason = Object.fromEntries([...counts].sort(([, left], [, right]) => right - left));
  return { status, selected, byReason, left };
}
