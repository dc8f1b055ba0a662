import type { Snapshot } from '../../../shared/domain/snapshot.ts';

/** What is drawn over time. */
export interface Sample {
  readonly sentPerSecond: number | null;
  readonly attemptsPerSecond: number | null;
  /** Of the last 10 s. */
  readonly failureRate: number | null;
}

const GAP: Sample = { sentPerSecond: null, attemptsPerSecond: null, failureRate: null };
/** As many as the widest screen has columns. */
const MOST = 512;

/** The samples with one more. While a server does not answer there is a gap: its last numbers are not of now. */
export function withSample(samples: readonly Sample[], snapshot: Snapshot): readonly Sample[] {
  return [...samples.slice(1 - MOST), snapshot.state === 'ok' ? sampleOf(snapshot) : GAP];
}

function sampleOf({ sentPerSecond, attemptsPerSecond, lastTenSeconds }: Snapshot): Sample {
  return { sentPerSecond, attemptsPerSecond, failureRate: lastTenSeconds?.failureRate ?? null };
}
