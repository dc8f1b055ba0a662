/** Parked messages: their identity, their record in S3, and the message in the parked queue. */
import type { AttemptRecord } from '../outcome/attempt.ts';
import type { OutcomeRecord } from '../outcome/outcome.ts';
import { ROUTING_KEYS } from '../topology/topology.ts';
import { isNestedTooDeep, isStrippedHeader, smsIdIn } from './envelope.ts';
import type { IncomingMessage, OutgoingMessage } from './message.ts';
import { FOREIGN_RUN, isRunName, isSmsId } from './sms.ts';
import { readTraceparent } from './traceparent.ts';

const MAX_RAW_BYTES = 8 * 1024;
/** Small enough for the smallest `max_message_size` with which a broker is of any use. */
const MAX_MINIMAL_RAW_BYTES = 1024;
/** The longest short string of AMQP. */
const MAX_PROPERTY_BYTES = 255;
const MAX_RECORDED_HEADERS = 32;
const MAX_RECORDED_CHARACTERS = 100;
const IDENTITY_DIGITS = 16;

/** The reason where Redial itself failed: after an error of its own a message must not stay unacknowledged. */
export const BROKE_OFF = 'an error inside Redial broke it off';

/** The reason for a journal message with lines that are no JSON or no entries. Its other lines were recorded. */
export const UNREADABLE_JOURNAL = 'a line of this journal message cannot be read';

/** The reason for a journal message that is larger than any that Redial writes. It is not read. */
export const TOO_LARGE_JOURNAL = 'this journal message is larger than any of Redial';

/** The reason for a journal message with lines of another pipeline. Its other lines were recorded. */
export const OF_ANOTHER_QUEUE = 'a line of this journal message names another QUEUE_NAME';

/** The advice for an SMS that RabbitMQ took out of its queue. */
const SEND_AGAIN = 'send it again under another id where it is still wanted';

/** Why a message is parked and what to do: a sentence without a phone number and without text of the SMS. */
export type ParkingReason = string;

/** SHA-256 of the parts in hexadecimal digits. The caller gives it, because the domain imports nothing of Node.js. */
export type Digest = (...parts: readonly (string | Buffer)[]) => string;

/**
 * The id of the SMS where it has one, else a hash of body and properties. A message has the same identity each time.
 */
export function identityOfUnreadable(message: IncomingMessage, digest: Digest): string {
  const smsId = ownIdOf(message);
  if (smsId !== undefined) return smsId;
  const { messageId, contentType, type, timestamp } = message;
  const properties = JSON.stringify(
    [messageId, contentType, type, timestamp, ownHeadersOf(message)],
    jsonValueOf,
  );
  return `parked-${digest(properties, message.body).slice(0, IDENTITY_DIGITS)}`;
}

/** As `identityOfUnreadable`, for a message whose properties cannot be written as JSON. */
export function identityOfBody(message: IncomingMessage, digest: Digest): string {
  return ownIdOf(message) ?? `parked-${digest(message.body).slice(0, IDENTITY_DIGITS)}`;
}

// The id of a journal message looks like that of an SMS, but is none.
function ownIdOf(message: IncomingMessage): string | undefined {
  return message.type === 'journal' ? undefined : smsIdIn(message);
}

/** Why RabbitMQ itself took a message out of a queue, as RabbitMQ tells it. */
export function reasonOfDeadLetter({ headers }: IncomingMessage): ParkingReason {
  const deaths: unknown = headers['x-death'];
  // The newest death comes first. A client may send an x-death of its own, but dead-lettering adds one.
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
 * The outcome record of a parked message: the beginning of its body, and those of its properties that can be read.
 * @param attempts the attempts of the SMS that have ended
 * @param isMinimal leaves out what the client chose freely, and most of the body
 */
export function parkedRecordOf(
  { message, reason, identity, nowMs }: Parked,
  queue: string,
  digest: Digest,
  attempts: readonly AttemptRecord[] = [],
  isMinimal = false,
): OutcomeRecord {
  const at = new Date(nowMs).toISOString();
  const { body, headers } = message;
  const traceparent = readTraceparent(headers.traceparent);
  return {
    smsId: identity,
    run: isRunName(headers.run) ? headers.run : FOREIGN_RUN,
    queue,
    ...(traceparent === undefined ? {} : { traceparent }),
    ...(isSmsId(headers.redriveOf) ? { redriveOf: headers.redriveOf } : {}),
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

/** The message for the parked queue: the body as it was, its headers, and why and when it was parked. */
export function encodeParked(parked: Parked, isWithHeaders = true): OutgoingMessage {
  const { message, identity, nowMs } = parked;
  const { messageId, contentType, contentEncoding } = message;
  return {
    routingKey: ROUTING_KEYS.parked,
    messageId: isShortText(messageId) && messageId !== '' ? messageId : identity,
    // A journal message that people move back must be one again.
    type: message.type === 'journal' ? 'journal' : 'parked',
    contentType: isShortText(contentType) ? contentType : 'application/octet-stream',
    ...(isShortText(contentEncoding) && contentEncoding !== '' ? { contentEncoding } : {}),
    timestampMs: nowMs,
    headers: { ...(isWithHeaders ? ownHeadersOf(message) : {}), ...parkedHeaders(parked) },
    body: message.body,
  };
}

/**
 * The message for the parked queue where nothing else can be encoded: the bytes of the body, the id in base64 in a header,
 * and nothing that the client chose freely.
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

// `parked-id` is the id of the record in S3, so that message and record can be found from each other.
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

// Without the headers that RabbitMQ and an earlier parking add: they change, and would change the identity.
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

/** Message id, content type and encoding, and headers for the record: short, flat, and not more than people read. */
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

function jsonValueOf(_: string, value: unknown): unknown {
  return typeof value === 'bigint' ? String(value) : value;
}
