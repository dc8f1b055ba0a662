import type { RunResult } from '../play-fault.ts';

/** What a row of docs/faults.md adds up: one run in numbers. */
export interface RunFigures {
  readonly accepted: number;
  readonly lost: number;
  readonly unexpected: number;
  readonly early: number;
  readonly extra: number;
  readonly duplicated: number;
  readonly repeatedSends: number;
  /** Undefined where the last outcome was not seen. */
  readonly recoverySeconds?: number | undefined;
  readonly hasFailed: boolean;
}

export function figuresOf({ verdict, recoverySeconds, problems }: RunResult): RunFigures {
  return {
    accepted: verdict?.acceptedCount ?? 0,
    lost: verdict?.lost.length ?? 0,
    unexpected: verdict?.unexpected.length ?? 0,
    early: verdict?.early.length ?? 0,
    extra: verdict?.extra.length ?? 0,
    duplicated: verdict?.duplicated.length ?? 0,
    repeatedSends: verdict?.repeatedSends ?? 0,
    recoverySeconds,
    hasFailed: problems.length > 0,
  };
}
