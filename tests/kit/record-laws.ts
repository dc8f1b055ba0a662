/**
 * What the times of a record must be, reckoned anew from the rules: wherever an SMS went, its record shows when its attempts
 * were due, and why it ended without another one.
 */
import type { AttemptRecord } from '../../shared/domain/outcome/attempt.ts';
import type { OutcomeRecord } from '../../shared/domain/outcome/outcome.ts';
import { EXPIRY_MARGIN_MS, REASONS, type SendingRules } from '../../shared/domain/schedule/retry-schedule.ts';
import { openingFrom } from '../../shared/domain/schedule/sending-window.ts';

/** Attempts before they were due, as sentences. @param isSentNow attempts that did not wait for their time */
export function judgeEarliness(
  record: OutcomeRecord,
  rules: SendingRules,
  isSentNow: (attempt: number) => boolean = () => false,
): string[] {
  return record.attempts.flatMap(({ attempt, startedAt, lateMs = 0 }, index) => {
    const dueMs = earliestStartOf(record, index, rules);
    const startMs = Date.parse(startedAt);
    const earlyMs = isSentNow(attempt) ? -lateMs : Math.max(-lateMs, dueMs - startMs);
    return earlyMs > 0 ? [`attempt ${attempt} of ${record.smsId} began ${earlyMs} ms too early`] : [];
  });
}

/** True where an SMS that ended as expired could not have been attempted once more in time. */
export function isRightlyExpired(record: OutcomeRecord, rules: SendingRules): boolean {
  const { expiresAt, finishedAt, attempts } = record;
  if (record.reason !== REASONS.expired || expiresAt === undefined) return false;
  const wishedMs = Math.max(Date.parse(finishedAt), earliestStartOf(record, attempts.length, rules));
  const startMs = rules.window === undefined ? wishedMs : openingFrom(rules.window, wishedMs);
  return startMs > Date.parse(expiresAt) - EXPIRY_MARGIN_MS;
}

/** When the attempt after so many attempts was due at the earliest, the window aside. Milliseconds since the epoch. */
export function earliestStartOf(
  { attempts, acceptedAt, notBefore }: OutcomeRecord,
  attemptCount: number,
  { schedule, anchor }: SendingRules,
): number {
  const [first, last] = [attempts[0], attempts[attemptCount - 1]];
  if (first === undefined || last === undefined) return notBefore === undefined ? 0 : Date.parse(notBefore);
  const endMs = Date.parse(last.startedAt) + last.tookMs;
  if (anchor !== 'accepted') return endMs + (schedule[attemptCount - 1] ?? 0);
  const waitedMs = schedule.slice(0, attemptCount).reduce((sum, waitMs) => sum + waitMs, 0);
  return Math.max(endMs, anchorOf(first, Date.parse(acceptedAt)) + waitedMs);
}

/** When the first attempt was due. */
function anchorOf({ startedAt, lateMs }: AttemptRecord, acceptedAtMs: number): number {
  return lateMs === undefined ? acceptedAtMs : Math.max(acceptedAtMs, Date.parse(startedAt) - lateMs);
}
