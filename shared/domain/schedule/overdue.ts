/**
 * Overdue SMS should have come back from a queue where they waited and have not: the moment to come out is past by more than a
 * grace. For a retry queue that moment is `notBefore`. For a hold queue it is `heldUntil`, noted by the sender that put the SMS
 * there: the SMS leaves a hold queue before its `notBefore`, and is overdue in the first one that keeps it for too long. Such a
 * queue is first in, first out, with one delay. So its overdue SMS stand at its head, and a search may stop at the first message
 * that is not overdue. One thing breaks the order: a message that was handed out and given back stands before all others. So the
 * search goes on past such messages.
 */
import { isStrippedHeader } from '../sms/envelope.ts';
import type { IncomingMessage, OutgoingMessage } from '../sms/message.ts';
import { holdDelayOf, ROUTING_KEYS } from '../topology/topology.ts';

/**
 * How late an SMS may be before it is overdue. Expiry itself is late by milliseconds. But a retry may reach its queue late,
 * by the 20 to 30 s that it takes to notice a dead peer (heartbeats at 10 s), and the clocks of two machines differ. The grace
 * is longer than both, and shorter than any delay that people would look into.
 */
export const OVERDUE_GRACE_MS = 30_000;

/** The message, with the moment when it must come out where it is for a hold queue. @param nowMs milliseconds since the epoch */
export function noteHold(message: OutgoingMessage, nowMs: number): OutgoingMessage {
  const delayMs = holdDelayOf(message.routingKey);
  if (delayMs === undefined) return message;
  return { ...message, headers: { ...message.headers, heldUntil: nowMs + delayMs } };
}

/** What is known of a message in a retry queue or a hold queue. */
export type Wait =
  | { readonly kind: 'overdue'; readonly dueAtMs: number }
  | { readonly kind: 'waiting' }
  /** The message does not say when it is due: a foreign client put it there. */
  | { readonly kind: 'unknown' };

/** @param nowMs milliseconds since the epoch, as the headers have it */
export function judgeWait({ headers }: Pick<IncomingMessage, 'headers'>, nowMs: number): Wait {
  const dueAtMs = headers.heldUntil ?? headers.notBefore;
  if (typeof dueAtMs !== 'number' || !Number.isSafeInteger(dueAtMs) || dueAtMs < 0)
    return { kind: 'unknown' };
  return nowMs - dueAtMs > OVERDUE_GRACE_MS ? { kind: 'overdue', dueAtMs } : { kind: 'waiting' };
}

/** What a search from the head of such a queue has found. */
export interface OverdueCount {
  readonly overdueCount: number;
  /** When the first of them was due, milliseconds since the epoch. */
  readonly firstDueAtMs: number | undefined;
  /** Messages that do not say when they are due. */
  readonly unknownCount: number;
  /** False where the search ended at its limit, and there may be more. */
  readonly isWhole: boolean;
}

export const NOTHING_OVERDUE: OverdueCount = {
  overdueCount: 0,
  firstDueAtMs: undefined,
  unknownCount: 0,
  isWhole: true,
};

/** Counts the next message too. */
export function countWait(count: OverdueCount, wait: Wait): OverdueCount {
  if (wait.kind === 'waiting') return count;
  if (wait.kind === 'unknown') return { ...count, unknownCount: count.unknownCount + 1 };
  return {
    ...count,
    overdueCount: count.overdueCount + 1,
    firstDueAtMs: Math.min(count.firstDueAtMs ?? wait.dueAtMs, wait.dueAtMs),
  };
}

/** True where no overdue message can stand behind this one. @param wasHandedOut a consumer had the message before */
export function endsOverdue(wait: Wait, wasHandedOut: boolean): boolean {
  return wait.kind === 'waiting' && !wasHandedOut;
}

/** The message for the due queue, without the headers that are stripped before each publish. */
export function moveToDue(message: IncomingMessage): OutgoingMessage {
  const { body, headers, messageId, contentType, timestamp } = message;
  return {
    routingKey: ROUTING_KEYS.due,
    messageId: typeof messageId === 'string' ? messageId : '',
    type: 'sms',
    contentType: typeof contentType === 'string' ? contentType : 'application/json',
    timestampMs: typeof timestamp === 'number' ? timestamp * 1_000 : 0,
    headers: Object.fromEntries(Object.entries(headers).filter(([name]) => !isStrippedHeader(name))),
    body,
  };
}
