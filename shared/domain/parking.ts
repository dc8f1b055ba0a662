/** Messages that are parked: their identity, their record and the message that people look at. */
import type { AttemptRecord } from './attempt.ts';
import { isNestedTooDeep, isStrippedHeader, type UnreadableReason } from './envelope.ts';
import type { IncomingMessage, OutgoingMessage } from './message.ts';
import type { OutcomeRecord } from './outcome.ts';
import { FOREIGN_RUN, isRunName, isSmsId } from './sms.ts';
import { ROUTING_KEYS } from './topology.ts';

const MAX_RAW_BYTES = 64 * 1024;
const MAX_MESSAGE_ID_BYTES = 255;

/** Why a message is parked: nobody can read it, or nobody survives it. */
export type ParkingReason = UnreadableReason | 'its sender died at each of five starts';

/** Digest of bytes as letters and digits; the caller's, so that this stays without I/O. */
export type Digest = (...parts: readonly (string | Buffer)[]) => string;

/** The id where it is one, else a hash of body and properties: the same message has the same identity each time. */
export function identityOfUnreadable(message: IncomingMessage, digest: Digest): string {
  if (isSmsId(message.messageId)) return message.messageId;
  const { messageId, contentType, type, timestamp } = message;
  const properties = JSON.stringify(
    [messageId, contentType, type, timestamp, ownHeadersOf(message)],
    describeValue,
  );
  return `parked-${digest(properties, message.body)}`;
}

/** The outcome record of a parked message. @param attempts those that came to an end before */
export function describeParked(
  message: IncomingMessage,
  reason: ParkingReason,
  identity: string,
  queue: string,
  nowMs: number,
  attempts: readonly AttemptRecord[] = [],
): OutcomeRecord {
  const at = new Date(nowMs).toISOString();
  const { body, headers } = message;
  const isCut = body.length > MAX_RAW_BYTES;
  return {
    smsId: identity,
    run: isRunName(headers.run) ? headers.run : FOREIGN_RUN,
    queue,
    status: 'parked',
    reason,
    acceptedAt: at,
    finishedAt: at,
    attempts,
    raw: body.subarray(0, MAX_RAW_BYTES).toString('base64'),
    ...(isCut ? { rawBytes: body.length } : {}),
  };
}

/** The message for the parked queue: the body as it was, its headers, why and when. */
export function encodeParked(
  message: IncomingMessage,
  reason: ParkingReason,
  identity: string,
  nowMs: number,
  isWithHeaders = true,
): OutgoingMessage {
  const { messageId } = message;
  const isIdUsable =
    typeof messageId === 'string' && messageId !== '' && Buffer.byteLength(messageId) <= MAX_MESSAGE_ID_BYTES;
  return {
    routingKey: ROUTING_KEYS.parked,
    messageId: isIdUsable ? messageId : identity,
    type: 'parked',
    contentType: typeof message.contentType === 'string' ? message.contentType : 'application/octet-stream',
    timestampMs: nowMs,
    headers: {
      ...(isWithHeaders ? ownHeadersOf(message) : {}),
      'parked-reason': reason,
      'parked-at': new Date(nowMs).toISOString(),
    },
    body: message.body,
  };
}

// Without what the broker adds: `x-delivery-count` grows with each redelivery and would change the identity.
function ownHeadersOf({ headers }: IncomingMessage): Record<string, unknown> {
  return Object.fromEntries(
    Object.keys(headers)
      .filter((name) => !isStrippedHeader(name) && !isNestedTooDeep(headers[name]))
      .sort()
      .map((name) => [name, headers[name]]),
  );
}

function describeValue(_: string, value: unknown): unknown {
  return typeof value === 'bigint' ? String(value) : value;
}
