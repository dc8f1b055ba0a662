/**
 * The event that tells other services of a stored outcome. Its body is the line that S3 holds, byte by byte, so both have one
 * format. What subscribers filter and sort by is in the properties.
 */
import { timeOf } from '../iso-time.ts';
import type { OutgoingMessage } from '../sms/message.ts';
import type { OutcomeRecord } from './outcome.ts';

/** @param line the line of the record in S3, without its line feed */
export function outcomeEventOf(record: OutcomeRecord, line: Buffer): OutgoingMessage {
  const { smsId, run, status, reason, finishedAt } = record;
  return {
    routingKey: status,
    messageId: smsId,
    type: 'outcome',
    contentType: 'application/json',
    timestampMs: timeOf(finishedAt) || 0,
    headers: { run, status, ...(reason === undefined ? {} : { reason }), ...lastAttemptTimesOf(record) },
    body: line,
  };
}

/** When the last attempt was to start and when it did, milliseconds since the epoch; nothing where there was no attempt. */
function lastAttemptTimesOf({ attempts, acceptedAt }: OutcomeRecord): Record<string, number> {
  const last = attempts.at(-1);
  if (last === undefined) return {};
  const startedAtMs = timeOf(last.startedAt);
  // A first attempt that waited for nothing was due when its SMS was accepted.
  const plannedAtMs = last.lateMs === undefined ? timeOf(acceptedAt) : startedAtMs - last.lateMs;
  return { ...(Number.isNaN(plannedAtMs) ? {} : { plannedAt: plannedAtMs }), startedAt: startedAtMs };
}
