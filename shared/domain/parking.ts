/** Messages that are parked: their identity, their record and the message that people look at. */
import type { AttemptRecord } from './attempt.ts';
import { isNestedTooDeep, isStrippedHeader, smsIdIn } from './envelope.ts';
import type { IncomingMessage, OutgoingMessage } from './message.ts';
import type { OutcomeRecord } from './outcome.ts';
import { FOREIGN_RUN, isRunName } from './sms.ts';
import { ROUTING_KEYS } from './topology.ts';

const MAX_RAW_BYTES = 8 * 1024;
/** Small enough for the smallest `max_message_size` that a broker can do something with. */
const MAX_MINIMAL_RAW_BYTES = 1024;
/** A short text of AMQP. */
const MAX_PROPERTY_BYTES = 255;
const MAX_RECORDED_HEADERS = 32;
const MAX_RECORDED_CHARACTERS = 100;
const IDENTITY_DIGITS = 16;

/** Said where Redial itself failed: no message is left in the hand because of our own error. */
export const BROKE_OFF = 'an error inside Redial broke it off';

/** Said of a journal message with lines that are no JSON or no entries; its other lines were recorded. */
export const UNREADABLE_JOURNAL = 'a line of this journal message cannot be read';

/** Said of a journal message that is larger than any of ours: it is not even read. */
export const TOO_LARGE_JOURNAL = 'this journal message is larger than any of Redial';

/** Said of a journal message with lines of another pipeline; its other lines were recorded. */
export const OF_ANOTHER_QUEUE = 'a line of this journal message names another QUEUE_NAME';

/** Said of an SMS that came to no harm of its own in its queue. */
const SEND_AGAIN = 'send it again under another id where it is still wanted';

/** Why a message is parked and what to do, as a sentence without a phone number and without text of the SMS. */
export type ParkingReason = string;

/** SHA-256 of the parts in hexadecimal digits; the caller's, so that this stays without I/O. */
export type Digest = (...parts: readonly (string | Buffer)[]) => string;

/**
 * The id of the SMS where it has one, else a hash of body and properties: the same message has the same identity each time.
 */
export function identityOfUnreadable(message: IncomingMessage, digest: Digest): string {
  const smsId = ownIdOf(message);
  if (smsId !== undefined) return smsId;
  const { messageId, contentType, type, timestamp } = message;
  const properties = JSON.stringify(
    [messageId, contentType, type, timestamp, ownHeadersOf(message)],
    describeValue,
  );
  return `parked-${digest(properties, message.body).slice(0, IDENTITY_DIGITS)}`;
}

/** As `identityOfUnreadable`, for a message whose properties cannot even be described. */
export function identityOfBody(message: IncomingMessage, digest: Digest): string {
  return ownIdOf(message) ?? `parked-${digest(message.body).slice(0, IDENTITY_DIGITS)}`;
}

// Ids of journal messages look like those of SMS, and are none.
function ownIdOf(message: IncomingMessage): string | undefined {
  return message.type === 'journal' ? undefined : smsIdIn(message);
}

/** What RabbitMQ says about a message that it took out of a queue itself. */
export function reasonOfDeadLetter({ headers }: IncomingMessage): ParkingReason {
  const deaths: unknown = headers['x-death'];
  // The newest comes first. Clients may send an x-death of their own, but what is dead-lettered gets one more.
  const newest: unknown = Array.isArray(deaths) ? deaths[0] : undefined;
  const { reason, queue } = (newest ?? {}) as { readonly reason?: unknown; readonly queue?: unknown };
  const isJournal = typeof queue === 'string' && queue.endsWith(`.${ROUTING_KEYS.journal}`);
  switch (reason) {
    case 'expired':
      return 'expired before a sender took it: send it again under another id, without expiration';
    case 'delivery_limit':
      return isJournal
        ? 'was handed to recorders too often'
        : `was handed to senders too often: ${SEND_AGAIN}`;
    case 'rejected':
      return isJournal ? 'was rejected' : `was rejected: ${SEND_AGAIN}`;
    default:
      return 'RabbitMQ took it out of its queue';
  }
}

interface Parked {
  readonly message: IncomingMessage;
  readonly reason: ParkingReason;
  readonly identity: string;
  readonly nowMs: number;
}

/**
 * The outcome record of a parked message: the beginning of its body, and what of its properties can be read.
 * @param attempts those that came to an end before
 * @param isMinimal true leaves out what the message's sender chose freely, and most of the body
 */
export function describeParked(
  { message, reason, identity, nowMs }: Parked,
  queue: string,
  digest: Digest,
  attempts: readonly AttemptRecord[] = [],
  isMinimal = false,
): OutcomeRecord {
  const at = new Date(nowMs).toISOString();
  const { body, headers } = message;
  return {
    smsId: identity,
    run: isRunName(headers.run) ? headers.run : FOREIGN_RUN,
    queue,
    status: 'parked',
    reason,
    acceptedAt: at,
    finishedAt: at,
    attempts,
    ...(isMinimal ? {} : readablePropertiesOf(message)),
    raw: body.subarray(0, isMinimal ? MAX_MINIMAL_RAW_BYTES : MAX_RAW_BYTES).toString('base64'),
    rawBytes: body.length,
    rawDigest: digest(body),
  };
}

/** The message for the parked queue: the body as it was, its headers, why and when. */
export function encodeParked(parked: Parked, isWithHeaders = true): OutgoingMessage {
  const { message, identity, nowMs } = parked;
  const { messageId, contentType, contentEncoding } = message;
  return {
    routingKey: ROUTING_KEYS.parked,
    messageId: isShortText(messageId) && messageId !== '' ? messageId : identity,
    // Whoever moves a journal message back finds it as it was.
    type: message.type === 'journal' ? 'journal' : 'parked',
    contentType: isShortText(contentType) ? contentType : 'application/octet-stream',
    ...(isShortText(contentEncoding) && contentEncoding !== '' ? { contentEncoding } : {}),
    timestampMs: nowMs,
    headers: { ...(isWithHeaders ? ownHeadersOf(message) : {}), ...parkedHeaders(parked) },
    body: message.body,
  };
}

/**
 * The message for the parked queue where nothing else can be encoded: the body's bytes, the id in base64 in a header,
 * and nothing that its sender chose freely.
 */
export function encodeParkedMinimal(parked: Parked): OutgoingMessage {
  const { message, identity, nowMs } = parked;
  const { messageId } = message;
  const id = typeof messageId === 'string' ? messageId.slice(0, MAX_PROPERTY_BYTES) : '';
  return {
    routingKey: ROUTING_KEYS.parked,
    messageId: identity,
    type: message.type === 'journal' ? 'journal' : 'parked',
    contentType: 'application/octet-stream',
    timestampMs: nowMs,
    headers: {
      ...parkedHeaders(parked),
      'parked-message-id': Buffer.from(id).toString('base64'),
    },
    body: message.body,
  };
}

// The id is that of the record in S3, which tells message and record of each other.
function parkedHeaders({ reason, identity, nowMs }: Parked): Record<string, string> {
  return {
    'parked-reason': reason,
    'parked-at': new Date(nowMs).toISOString(),
    'parked-id': identity,
  };
}

function isShortText(value: unknown): value is string {
  return typeof value === 'string' && Buffer.byteLength(value) <= MAX_PROPERTY_BYTES;
}

// Without what the broker and an earlier parking add: it grows or changes, and would change the identity.
function ownHeadersOf({ headers }: IncomingMessage): Record<string, unknown> {
  return Object.fromEntries(
    Object.keys(headers)
      .filter((name) => isForeign(name) && !isNestedTooDeep(headers[name]))
      .sort()
      .map((name) => [name, headers[name]]),
  );
}

function isForeign(headerName: string): boolean {
  return !isStrippedHeader(headerName) && !headerName.startsWith('parked-');
}

/** Message id, content type and encoding, and headers for the record: short, flat, and no more than people read. */
function readablePropertiesOf({ messageId, contentType, contentEncoding, headers }: IncomingMessage) {
  const names = Object.keys(headers).filter(isForeign);
  const readable = names
    .slice(0, MAX_RECORDED_HEADERS)
    .map((name): [string, unknown] => [shortened(name), readableValueOf(headers[name])]);
  return {
    ...(typeof messageId === 'string' ? { messageId: shortened(messageId, MAX_PROPERTY_BYTES) } : {}),
    ...(typeof contentType === 'string' ? { contentType: shortened(contentType) } : {}),
    ...(typeof contentEncoding === 'string' ? { contentEncoding: shortened(contentEncoding) } : {}),
    ...(readable.length === 0 ? {} : { headers: Object.fromEntries(readable) }),
  };
}

function readableValueOf(value: unknown): unknown {
  if (typeof value === 'string') return shortened(value);
  if (typeof value === 'number' || typeof value === 'boolean' || value === null) return value;
  return `(${Buffer.isBuffer(value) ? 'bytes' : typeof value})`;
}

function shortened(text: string, maxCharacters = MAX_RECORDED_CHARACTERS): string {
  return text.slice(0, maxCharacters).toWellFormed();
}

function describeValue(_: string, value: unknown): unknown {
  return typeof value === 'bigint' ? String(value) : value;
}
