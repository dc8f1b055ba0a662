import type { AttemptRecord } from '../shared/domain/attempt.ts';
import type { OutgoingMessage } from '../shared/domain/message.ts';
import { ROUTING_KEYS } from '../shared/domain/topology.ts';

/** What must be confirmed before a delivery is acknowledged. */
export interface Settlement {
  readonly message?: OutgoingMessage;
  /** For a message that cannot be encoded: the same with nothing foreign in it. */
  readonly plainMessage?: OutgoingMessage;
  readonly journalLine?: string;
}

/** The attempts it tells of: those of an outcome, or those a message carries along; none where that cannot be read. */
export function attemptsToldBy({ journalLine = '{}', message }: Settlement): readonly AttemptRecord[] {
  try {
    return JSON.parse(journalLine).attempts ?? JSON.parse(String(message?.headers.history ?? '[]'));
  } catch {
    return [];
  }
}

/** True for a message on its way to the parked queue. */
export function isParking({ message }: Settlement): boolean {
  return message?.routingKey === ROUTING_KEYS.parked;
}
