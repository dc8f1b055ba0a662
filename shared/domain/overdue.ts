/**
 * SMS that should have come back from a retry queue and have not: those past their `notBefore` by more than a grace.
 * A retry queue is first in, first out with one delay, so its overdue SMS stand at its head, and whoever looks for
 * them may stop at the first message that is not overdue. One thing breaks the order: a message that was handed out
 * and given back stands before all others, so the search goes on while messages are such.
 */
import { isStrippedHeader } from './envelope.ts';
import type { IncomingMessage, OutgoingMessage } from './message.ts';
import { ROUTING_KEYS } from './topology.ts';

/**
 * How late an SMS may be without being called overdue. Expiry itself is late by milliseconds; but a retry may have
 * reached its queue late, by the 20 to 30 s it takes to notice a dead peer (heartbeats at 10 s), and the clocks of
 * two machines differ. Longer than both, and short against any wait people would look into.
 */
export const OVERDUE_GRACE_MS = 30_000;

/** What is known of a message in a retry queue. */
export type Wait =
  | { readonly kind: 'overdue'; readonly dueAtMs: number }
  | { readonly kind: 'waiting' }
  /** It does not say when it is due: a client of somebody else put it there. */
  | { readonly kind: 'unknown' };

/** @param nowMs milliseconds since the epoch, as `notBefore` */
export function judgeWait({ headers }: Pick<IncomingMessage, 'headers'>, nowMs: number): Wait {
  const dueAtMs = headers.notBefore;
  if (typeof dueAtMs !== 'number' || !Number.isSafeInteger(dueAtMs) || dueAtMs < 0)
    return { kind: 'unknown' };
  return nowMs - dueAtMs > OVERDUE_GRACE_MS ? { kind: 'overdue', dueAtMs } : { kind: 'waiting' };
}

/** What a walk from the head of a retry queue has found. */
export interface OverdueCount {
  readonly overdueCount: number;
  /** The earliest moment one of them was due, milliseconds since the epoch. */
  readonly firstDueAtMs: number | undefined;
  /** Messages that do not say when they are due. */
  readonly unknownCount: number;
  /** False where the walk was ended by its limit, and there may be more. */
  readonly isWhole: boolean;
}

export const NOTHING_OVERDUE: OverdueCount = {
  overdueCount: 0,
  firstDueAtMs: undefined,
  unknownCount: 0,
  isWhole: true,
};

/** Adds what is known of the next message. */
export function countWait(count: OverdueCount, wait: Wait): OverdueCount {
  if (wait.kind === 'waiting') return count;
  if (wait.kind === 'unknown') return { ...count, unknownCount: count.unknownCount + 1 };
  return {
    ...count,
    overdueCount: count.overdueCount + 1,
    firstDueAtMs: Math.min(count.firstDueAtMs ?? wait.dueAtMs, wait.dueAtMs),
  };
}

/** True where no overdue message can stand behind this one. @param wasHandedOut it was with somebody before */
export function endsOverdue(wait: Wait, wasHandedOut: boolean): boolean {
  return wait.kind === 'waiting' && !wasHandedOut;
}

/** The same message for the due queue, without the headers that are stripped before each publish. */
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
