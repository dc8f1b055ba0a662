import type { AttemptRecord } from '../shared/domain/attempt.ts';
import { decodeEnvelope } from '../shared/domain/envelope.ts';
import type { IncomingMessage } from '../shared/domain/message.ts';
import {
  type Digest,
  describeParked,
  encodeParked,
  encodeParkedMinimal,
  identityOfBody,
  identityOfUnreadable,
  type ParkingReason,
  reasonOfDeadLetter,
} from '../shared/domain/parking.ts';
import type { Clock, Logger } from '../shared/ports.ts';
import type { Settlement } from './settlement.ts';

/** What a parked message's record needs to know beside the message. */
export interface ParkingContext {
  /** QUEUE_NAME, as written into outcome records. */
  readonly queue: string;
  readonly clock: Clock;
  readonly digest: Digest;
  readonly log: Logger;
}

/** Parking: the message for people to look at, and its record. @param attempts those that came to an end before */
export function parkingOf(
  message: IncomingMessage,
  reason: ParkingReason,
  { clock, digest, queue, log }: ParkingContext,
  attempts: readonly AttemptRecord[] = [],
): Settlement {
  const identity = identityOfUnreadable(message, digest);
  const parked = { message, reason, identity, nowMs: clock.nowMs() };
  log.warn({ smsId: identity, reason }, 'message parked');
  return {
    message: encodeParked(parked),
    plainMessage: encodeParked(parked, false),
    journalLine: JSON.stringify(describeParked(parked, queue, digest, attempts)),
  };
}

/** Parks an SMS that ended its sender at each start. */
export function parkPoison(message: IncomingMessage, context: ParkingContext): Settlement {
  return parkingOf(message, 'its sender died at each of five starts', context, historyOf(message));
}

/** Parks what RabbitMQ itself took out of a queue. */
export function parkDeadLetter(message: IncomingMessage, context: ParkingContext): Settlement {
  return parkingOf(message, reasonOfDeadLetter(message), context, historyOf(message));
}

/** The attempts before this one, as far as the message can be read. */
export function historyOf(message: IncomingMessage): readonly AttemptRecord[] {
  try {
    const decoded = decodeEnvelope(message);
    return decoded.kind === 'readable' ? decoded.envelope.history : [];
  } catch {
    return [];
  }
}

// The same as in a record that was told before, wherever that can be made.
function identityOf(message: IncomingMessage, digest: Digest): string {
  try {
    return identityOfUnreadable(message, digest);
  } catch {
    return identityOfBody(message, digest);
  }
}

/** Parking with nothing in it that the message's sender chose freely, but for the bytes of the body. */
export function minimalParkingOf(
  message: IncomingMessage,
  reason: ParkingReason,
  { clock, digest, queue }: ParkingContext,
  attempts: readonly AttemptRecord[] = [],
): Settlement {
  const parked = { message, reason, identity: identityOf(message, digest), nowMs: clock.nowMs() };
  return {
    message: encodeParkedMinimal(parked),
    journalLine: JSON.stringify(describeParked(parked, queue, digest, attempts, true)),
  };
}
