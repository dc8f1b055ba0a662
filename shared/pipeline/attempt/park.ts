import type { AttemptRecord } from '../../domain/outcome/attempt.ts';
import { decodeEnvelope } from '../../domain/sms/envelope.ts';
import type { IncomingMessage } from '../../domain/sms/message.ts';
import {
  type Digest,
  encodeParked,
  encodeParkedMinimal,
  identityOfBody,
  identityOfUnreadable,
  type ParkingReason,
  parkedRecordOf,
  reasonOfDeadLetter,
} from '../../domain/sms/parking.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Logger } from '../../ports/logger.ts';
import type { Settlement } from './settlement.ts';

/** What the record of a parked message needs beside the message. */
export interface ParkingContext {
  /** QUEUE_NAME, as written into outcome records. */
  readonly queue: string;
  readonly clock: Clock;
  readonly digest: Digest;
  readonly log: Logger;
}

/** Parking: the message for people to look at, and its record. @param attempts that came to an end before */
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
    journalLine: JSON.stringify(parkedRecordOf(parked, queue, digest, attempts)),
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

// The same identity as in a record of it that was told before, wherever that can be made.
function identityOf(message: IncomingMessage, digest: Digest): string {
  try {
    return identityOfUnreadable(message, digest);
  } catch {
    return identityOfBody(message, digest);
  }
}

/** Parking with nothing in it that the client chose freely, but for the bytes of the body. */
export function minimalParkingOf(
  message: IncomingMessage,
  reason: ParkingReason,
  { clock, digest, queue }: ParkingContext,
  attempts: readonly AttemptRecord[] = [],
): Settlement {
  const parked = { message, reason, identity: identityOf(message, digest), nowMs: clock.nowMs() };
  return {
    message: encodeParkedMinimal(parked),
    journalLine: JSON.stringify(parkedRecordOf(parked, queue, digest, attempts, true)),
  };
}
