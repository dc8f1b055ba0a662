import type { AttemptRecord } from '../shared/domain/attempt.ts';
import type { OutgoingMessage } from '../shared/domain/message.ts';

/** What must be confirmed before a delivery is acknowledged. */
export interface Settlement {
  readonly message?: OutgoingMessage;
  /** For a message that cannot be encoded: the same with nothing foreign in it. */
  readonly plainMessage?: OutgoingMessage;
  readonly journalLine?: string;
  /** The attempts that have come to an end, for the record of an SMS that can only be parked. */
  readonly attempts?: readonly AttemptRecord[];
}
