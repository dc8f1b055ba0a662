/**
 * Why SMS failed, as it is counted: how many failed for each reason. A carrier may tell as many reasons as it likes, so only
 * the first of a pipeline are counted by name.
 */
import { REASONS } from '../schedule/retry-schedule.ts';
import { readableReason } from './attempt.ts';
import type { OutcomeRecord } from './outcome.ts';

/** Reasons of carriers that are counted by name; lua/counts.lua keeps the same limit. */
export const MAX_NAMED_REASONS = 100;
/** Counts the SMS that failed for any further reason. */
export const OTHER_REASONS = 'other reasons';
/** Counts the SMS whose reason nobody has noted: a recorder of an older version counted them. */
export const REASON_NOT_RECORDED = 'reason not recorded';
/** Our own reasons always have their name. */
export const OWN_REASONS: readonly string[] = [...Object.values(REASONS), OTHER_REASONS];

const MAX_CHARACTERS = 64;
/** They separate what Redis keeps of an SMS. */
const SEPARATORS = /[;|,]/g;

/**
 * Why an SMS failed, as it is counted: short, and without the characters that Redis' texts are made of. Undefined where it did
 * not fail, or its record does not say why.
 */
export function countedReasonOf({
  status,
  reason,
}: Pick<OutcomeRecord, 'status' | 'reason'>): string | undefined {
  if (status !== 'failed' || reason === undefined || reason === '') return undefined;
  return readableReason(reason).replace(SEPARATORS, ' ').slice(0, MAX_CHARACTERS).toWellFormed();
}

/**
 * The name under which a reason is counted.
 * @param named the reasons that have a name; a new one is added while there is room
 */
export function nameOfReason(reason: string, named: Set<string>): string {
  if (OWN_REASONS.includes(reason) || named.has(reason)) return reason;
  if (named.size >= MAX_NAMED_REASONS) return OTHER_REASONS;
  named.add(reason);
  return reason;
}

/** How many SMS failed for each reason, the most frequent first. Adds up to `failed`. */
export function reasonsOf(failed: number, countByReason: ReadonlyMap<string, number>): [string, number][] {
  const told = [...countByReason].filter(([, count]) => count > 0);
  const rest = failed - told.reduce((sum, [, count]) => sum + count, 0);
  if (rest > 0) told.push([REASON_NOT_RECORDED, rest]);
  return told.sort(([leftReason, left], [rightReason, right]) =>
    left === right ? (leftReason < rightReason ? -1 : 1) : right - left,
  );
}
