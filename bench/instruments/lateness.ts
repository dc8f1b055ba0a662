import type { OutcomeRecord } from '../../shared/domain/outcome/outcome.ts';
import type { MeasureName } from './measurements.ts';
import { percentileOf } from './statistics.ts';

/** How late every attempt after the first was, in ms; where a window is given, of those that fell due in it. */
export function latenessOf(
  records: readonly OutcomeRecord[],
  { fromMs, toMs }: { readonly fromMs: number; readonly toMs: number } = { fromMs: 0, toMs: Infinity },
): number[] {
  return records.flatMap(({ attempts }) =>
    attempts.flatMap(({ startedAt, lateMs }) => {
      if (lateMs === undefined) return [];
      const dueAtMs = Date.parse(startedAt) - lateMs;
      return dueAtMs >= fromMs && dueAtMs <= toMs ? lateMs : [];
    }),
  );
}

/** @param latenessMs at least one */
export function latenessFigures(latenessMs: readonly number[]): Partial<Record<MeasureName, number>> {
  return {
    retryCount: latenessMs.length,
    latenessP50Ms: percentileOf(latenessMs, 50),
    latenessP99Ms: percentileOf(latenessMs, 99),
    latenessMaxMs: percentileOf(latenessMs, 100),
  };
}
