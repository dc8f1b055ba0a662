/** Hashes and texts in Redis as the simulated scripts use them. */
import type { OutcomeStatus } from '../domain/outcome/outcome.ts';

/** What is known of one SMS, the parts of its text in Redis. */
export interface SmsState {
  phase: 'p' | 'c' | 's';
  run: string;
  object: string;
  status: OutcomeStatus | '';
  digest: string;
  attempts: string;
  told: string;
  /** When Redis forgets it, milliseconds of its clock. */
  forgottenAtMs?: number;
}

/** A hash in Redis. */
export type Hash = Map<string, number | string>;

export function addIn(hash: Hash, field: string, by: number): void {
  if (by !== 0) hash.set(field, Number(hash.get(field) ?? 0) + by);
}

export function raiseIn(hash: Hash, field: string, value: number): void {
  const known = hash.get(field);
  if (known === undefined || Number(known) < value) hash.set(field, value);
}

/** What a run has beside its sums. */
export const NO_SUMS = new Set([
  ...['announced', 'acceptedUpTo', 'announcedAt', 'input', 'hasInputConflict', 'maxLatenessMs'],
]);

export const RUNS_PER_CALL = 100;

/** As ZRANGEBYSCORE gives them. */
export function firstUpTo(runs: ReadonlyMap<string, number>, last: number): [string, number][] {
  return [...runs]
    .filter(([, at]) => at <= last)
    .sort(([leftRun, left], [rightRun, right]) => left - right || (leftRun < rightRun ? -1 : 1))
    .slice(0, RUNS_PER_CALL);
}

/** What was accepted and what has ended of a run: nothing is in progress where they are equal. */
export function booksOf(hash: Hash): { readonly accepted: number; readonly ended: number } {
  const [announced = 0, met = 0, ...outcomes] = [
    ...['announced', 'met', 'sent', 'failed', 'parked', 'known'],
  ].map((field) => Number(hash.get(field) ?? 0));
  const ended = outcomes.reduce((sum, count) => sum + count, 0);
  return { accepted: Math.max(announced, met, ended), ended };
}
