import type { OutcomeRecord } from '../../shared/domain/outcome/outcome.ts';

/** How late first attempts were, in milliseconds; a negative one was early. */
export interface Lateness {
  readonly count: number;
  readonly earliestMs: number;
  readonly earlyCount: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly latestMs: number;
}

/** Of the first attempts of SMS that had to wait for a moment. The moment is that of the record, not of the sender. */
export function latenessOfHeld(records: readonly OutcomeRecord[]): Lateness {
  const lateMs = records
    .flatMap(({ notBefore, attempts: [first] }) =>
      notBefore === undefined || first === undefined
        ? []
        : Date.parse(first.startedAt) - Date.parse(notBefore),
    )
    .sort((left, right) => left - right);
  const at = (share: number) => lateMs[Math.ceil(share * lateMs.length) - 1] ?? Number.NaN;
  return {
    ...{ count: lateMs.length, earliestMs: lateMs[0] ?? Number.NaN },
    earlyCount: lateMs.filter((each) => each < 0).length,
    ...{ p50Ms: at(0.5), p99Ms: at(0.99) },
    latestMs: at(1),
  };
}
