/** Which outcomes are sent again. */
import { timeOf } from '../../../shared/domain/iso-time.ts';
import type { OutcomeRecord } from '../../../shared/domain/outcome/outcome.ts';

export interface Selection {
  readonly status: 'failed' | 'parked';
  /** Exactly this reason; undefined: whatever the reason. */
  readonly reason: string | undefined;
  /** The outcome came at this moment or later, milliseconds since the epoch. */
  readonly sinceMs: number | undefined;
  /** The outcome came before this moment. */
  readonly untilMs: number | undefined;
  /** Matches the phone number. */
  readonly to: RegExp | undefined;
  /** The run that the SMS belongs to. */
  readonly runOf: string | undefined;
}

const NUMBER_PATTERN = /^(\+|\*)[\d*]{0,31}$/;

/**
 * Reads the pattern of a phone number: `*` stands for any digits, also for none. At the beginning it stands for the plus sign
 * too. Undefined where the text is no such pattern.
 */
export function parseNumberPattern(text: string): RegExp | undefined {
  if (!NUMBER_PATTERN.test(text) || text === '+') return undefined;
  const digits = text.slice(1).replaceAll(/\*+/g, '*');
  const start = text.startsWith('+') ? '\\+' : '\\+\\d*';
  return new RegExp(`^${start}${digits.replaceAll('*', '\\d*')}$`);
}

export function isSelected(record: OutcomeRecord, selection: Selection): boolean {
  const { status, reason, sinceMs, untilMs, to, runOf } = selection;
  if (record.status !== status) return false;
  if (reason !== undefined && record.reason !== reason) return false;
  if (runOf !== undefined && record.run !== runOf) return false;
  if (to !== undefined && !to.test(record.to ?? '')) return false;
  if (sinceMs === undefined && untilMs === undefined) return true;
  const finishedAtMs = timeOf(record.finishedAt);
  return finishedAtMs >= (sinceMs ?? -Infinity) && finishedAtMs < (untilMs ?? Infinity);
}
