import type { AttemptRecord } from '../../domain/outcome/attempt.ts';
import type { OutgoingMessage } from '../../domain/sms/message.ts';
import { ROUTING_KEYS } from '../../domain/topology/topology.ts';

/** What must be confirmed before a delivery is acknowledged. */
export interface Settlement {
  readonly message?: OutgoingMessage;
  /** The same message without foreign headers, for where they cannot be encoded. */
  readonly plainMessage?: OutgoingMessage;
  readonly journalLine?: string;
}

/** The attempts of its outcome, or those that its message carries along; none where they cannot be read. */
export function attemptsToldBy({ journalLine = '{}', message }: Settlement): readonly AttemptRecord[] {
  try {
    return JSON.parse(journalLine).attempts ?? JSON.parse(String(message?.headers.history ?? '[]'));
  } catch {
    return [];
  }
}

/** True where its message goes to the parked queue. */
export function isParking({ message }: Settlement): boolean {
  return message?.routingKey === ROUTING_KEYS.parked;
}
