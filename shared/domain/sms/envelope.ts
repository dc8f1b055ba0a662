/**
 * The SMS as a message in RabbitMQ: encode, decode, and a typed reason for each message that cannot be read. The body is the
 * content and is never rewritten. Attempt, history and times travel in headers, where the management UI shows them.
 */
import {
  type AttemptRecord,
  isAttemptRecord,
  isAttemptSequence,
  MAX_ATTEMPT_NUMBER,
  rebuiltAttempt,
} from '../outcome/attempt.ts';
import { parseJson } from '../parse-json.ts';
import { ROUTING_KEYS } from '../topology/topology.ts';
import type { IncomingMessage, OutgoingMessage } from './message.ts';
import {
  FOREIGN_RUN,
  isPriority,
  isRunName,
  isSmsId,
  type Priority,
  readSmsContent,
  type Sms,
} from './sms.ts';
import { readTraceparent } from './traceparent.ts';
import type { UnreadableReason } from './unreadable-reason.ts';

export interface Envelope {
  readonly sms: Sms;
  /** The message body to the byte, for publishing it again. */
  readonly body: Buffer;
  /** The attempt this message is for: 1, 2, … */
  readonly attempt: number;
  /** When the SMS was published first, milliseconds since the epoch; undefined where its client does not say. */
  readonly acceptedAtMs: number | undefined;
  /** No attempt may start before this moment; undefined: none is too early. */
  readonly notBeforeMs: number | undefined;
  /** No attempt may start after this moment; undefined: none is too late. */
  readonly expiresAtMs: number | undefined;
  /** As its client set it. */
  readonly priority: Priority | undefined;
  /** The trace it belongs to, as its client set it. */
  readonly traceparent: string | undefined;
  /** The SMS that this one is sent again for: its id. */
  readonly redriveOf: string | undefined;
  /** One record for each earlier attempt. */
  readonly history: readonly AttemptRecord[];
  /** Headers of other software, carried along. */
  readonly foreignHeaders: Readonly<Record<string, unknown>>;
}

/** How its client wishes an SMS to be sent; without wishes at once, at any time, among all others. */
export type SendingWishes = Partial<Pick<Envelope, 'notBeforeMs' | 'expiresAtMs' | 'priority'>>;

const NO_WISHES: SendingWishes = {};

/** Stands alone in a message whose headers the AMQP library could not decode. */
export const HEADERS_UNDECODABLE = 'x-headers-undecodable';

export type Decoded =
  | { readonly kind: 'readable'; readonly envelope: Envelope }
  | { readonly kind: 'unreadable'; readonly reason: UnreadableReason };

const MAX_BODY_BYTES = 64 * 1024;
// With this bound the line of an outcome stays below 64 KiB, whatever else it holds.
const MAX_HISTORY_BYTES = 40 * 1024;
const MAX_NESTING = 16;
const MAX_TIME_MS = 8.64e15;
const FORBIDDEN_KEYS = new Set(['__proto__', 'constructor', 'prototype']);
// The types that say that the body is JSON, and those that clients set without saying anything about the body.
const CONTENT_TYPE =
  /^((application|text)\/([\w.+-]+\+)?json|text\/plain|application\/octet-stream|application\/data)\s*(;|$)/i;
// kombu says `binary` of bytes. As `identity`, it means that nothing was done to them.
const CONTENT_ENCODING = /^(utf-?8|us-ascii|ascii|identity|binary)$/i;
const OWN_HEADERS = new Set([
  ...['attempt', 'acceptedAt', 'notBefore', 'expiresAt', 'priority', 'redriveOf', 'run', 'history'],
  ...['heldUntil', 'traceparent'],
]);
// Everything but control characters, the quote, the backslash and surrogates: JSON escapes them, or lone ones of them.
const STANDS_AS_IT_IS = /^[ !#-[\]-\ud7ff\ue000-\uffff]*$/;
const utf8 = new TextDecoder('utf-8', { fatal: true });

/**
 * True for headers that are never believed and never passed on: broker-made ones (a client's `x-death` would be
 * interpreted up to 3.13; `CC` and `BCC` would copy the message to other queues) and everything else in `x-`.
 */
export function isStrippedHeader(name: string): boolean {
  return name.startsWith('x-') || name === 'CC' || name === 'BCC';
}

/** The body of a fresh SMS. */
export function encodeBody(sms: Sms): Buffer {
  const { to, text, from, reference } = sms;
  const labels = `${optional('from', from)}${optional('reference', reference)}`;
  return Buffer.from(`{"to":${quoted(to)},"text":${quoted(text)}${labels}}`);
}

function optional(name: string, value: string | undefined): string {
  return value === undefined ? '' : `,"${name}":${quoted(value)}`;
}

// The text of most SMS stands in JSON as it is.
function quoted(text: string): string {
  return STANDS_AS_IT_IS.test(text) ? `"${text}"` : JSON.stringify(text);
}

/** An SMS that nobody has attempted yet. */
export function encodeFresh(
  sms: Sms,
  acceptedAtMs: number,
  routingKey: string,
  wishes: SendingWishes = NO_WISHES,
  traceparent?: string,
): OutgoingMessage {
  const headers: Record<string, unknown> = { attempt: 1, run: sms.run, acceptedAt: acceptedAtMs };
  addWishes(headers, wishes);
  if (traceparent !== undefined) headers.traceparent = traceparent;
  return messageOf(sms.id, encodeBody(sms), headers, acceptedAtMs, routingKey);
}

function addWishes(headers: Record<string, unknown>, wishes: SendingWishes): void {
  const { notBeforeMs, expiresAtMs, priority } = wishes;
  if (notBeforeMs !== undefined) headers.notBefore = notBeforeMs;
  if (expiresAtMs !== undefined) headers.expiresAt = expiresAtMs;
  if (priority !== undefined) headers.priority = priority;
}

/** The message for a queue of the topology. Its timestamp is the second in which the SMS was accepted. */
export function encodeEnvelope(envelope: Envelope, routingKey: string = ROUTING_KEYS.work): OutgoingMessage {
  const { sms, attempt, acceptedAtMs, history } = envelope;
  const headers: Record<string, unknown> = { ...envelope.foreignHeaders, attempt, run: sms.run };
  if (acceptedAtMs !== undefined) headers.acceptedAt = acceptedAtMs;
  addWishes(headers, envelope);
  if (envelope.traceparent !== undefined) headers.traceparent = envelope.traceparent;
  if (envelope.redriveOf !== undefined) headers.redriveOf = envelope.redriveOf;
  if (history.length > 0) headers.history = JSON.stringify(history);
  return messageOf(sms.id, envelope.body, headers, acceptedAtMs ?? 0, routingKey);
}

function messageOf(
  messageId: string,
  body: Buffer,
  headers: OutgoingMessage['headers'],
  timestampMs: number,
  routingKey: string,
): OutgoingMessage {
  return { routingKey, messageId, type: 'sms', contentType: 'application/json', timestampMs, headers, body };
}

/** Reads a message. Whatever the message holds, the answer is an envelope or a reason; nothing is thrown. */
export function decodeEnvelope(message: IncomingMessage): Decoded {
  const { headers } = message;
  if (headers[HEADERS_UNDECODABLE] === true) return unreadable('headers cannot be decoded');
  if (hasNestedTooDeep(headers)) return unreadable('headers are nested too deep');
  const { contentType, contentEncoding } = message;
  // Redial's own messages need no look at a pattern.
  if (contentType !== 'application/json' && !isAbsentOr(CONTENT_TYPE, contentType))
    return unreadable('content type is unknown');
  if (!isAbsentOr(CONTENT_ENCODING, contentEncoding)) return unreadable('content encoding is not utf-8');
  const body = readBody(message.body);
  const id = readId(message, body);
  if ('problem' in id) return unreadable(id.problem);
  const run = headers.run ?? FOREIGN_RUN;
  if (!isRunName(run)) return unreadable('run header is not a run name');
  const attempt = headers.attempt ?? 1;
  if (!isWholeNumberWithin(attempt, 1, MAX_ATTEMPT_NUMBER)) {
    return unreadable('attempt header is not a whole number from 1 to 1000');
  }
  const { acceptedAt, notBefore, expiresAt, priority } = headers;
  if (!isTime(acceptedAt)) return unreadable('acceptedAt header is not a time');
  if (!isTime(notBefore)) return unreadable('notBefore header is not a time');
  if (!isTime(expiresAt)) return unreadable('expiresAt header is not a time');
  if (priority !== undefined && !isPriority(priority))
    return unreadable('priority header is not high, normal or low');
  const history = readHistory(headers.history, attempt);
  if (typeof history === 'string') return unreadable(history);
  if ('problem' in body) return unreadable(body.problem);
  const read = readSmsContent(body.fields);
  if ('problem' in read) return unreadable(read.problem);
  return {
    kind: 'readable',
    envelope: {
      sms: { id: id.smsId, run, ...read.content },
      body: message.body,
      attempt,
      acceptedAtMs: acceptedAt ?? timestampOf(message.timestamp),
      notBeforeMs: notBefore,
      expiresAtMs: expiresAt,
      priority,
      traceparent: readTraceparent(headers.traceparent),
      // It only points back: an SMS is not parked for a pointer that points nowhere.
      redriveOf: isSmsId(headers.redriveOf) ? headers.redriveOf : undefined,
      history,
      foreignHeaders: foreignHeadersOf(headers),
    },
  };
}

/**
 * The id of the SMS in a message, readable or not. It is the same each time the message is handed out: its message id or,
 * from clients that cannot set one, `id` in the body. Undefined where there is neither, or it is not an SMS id.
 */
export function smsIdIn(message: IncomingMessage): string | undefined {
  if (isSmsId(message.messageId)) return message.messageId;
  if (hasMessageId(message)) return undefined;
  const id = readId(message, readBody(message.body));
  return 'problem' in id ? undefined : id.smsId;
}

type ReadBody = { readonly fields: Record<string, unknown> } | { readonly problem: UnreadableReason };

function hasMessageId({ messageId }: IncomingMessage): boolean {
  return messageId !== undefined && messageId !== '';
}

function readId(
  message: IncomingMessage,
  body: ReadBody,
): { readonly smsId: string } | { readonly problem: UnreadableReason } {
  const { messageId } = message;
  if (isSmsId(messageId)) return { smsId: messageId };
  if (hasMessageId(message)) return { problem: 'message id is not an SMS id' };
  if ('problem' in body) return body;
  const { id } = body.fields;
  if (isSmsId(id)) return { smsId: id };
  const isMissing = id === undefined || id === null || id === '';
  return { problem: isMissing ? 'message id is missing' : 'id in the body is not an SMS id' };
}

function readBody(body: Buffer): ReadBody {
  if (body.length === 0) return { problem: 'body is empty' };
  if (body.length > MAX_BODY_BYTES) return { problem: 'body is over 64 KiB' };
  let text: string;
  try {
    text = utf8.decode(body);
  } catch {
    return { problem: 'body is not UTF-8' };
  }
  const value = parseJson(text);
  if (value === undefined) return { problem: 'body is not JSON' };
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return { problem: 'body is not a JSON object' };
  const structure = judgeStructure(value);
  return structure === undefined ? { fields: value as Record<string, unknown> } : { problem: structure };
}

function hasNestedTooDeep(headers: Readonly<Record<string, unknown>>): boolean {
  for (const name in headers) if (isNested(headers[name]) && isNestedTooDeep(headers[name])) return true;
  return false;
}

/** True where the value of a header is nested deeper than recursion may go. */
export function isNestedTooDeep(value: unknown): boolean {
  let level = [value].filter(isNested);
  for (let depth = 1; level.length > 0; depth += 1) {
    if (depth > MAX_NESTING) return true;
    level = level.flatMap((each) => Object.values(each)).filter(isNested);
  }
  return false;
}

function isNested(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Buffer.isBuffer(value);
}

// A loop over levels. A recursion over 10,000 levels would itself be the crash that this prevents.
function judgeStructure(root: object): UnreadableReason | undefined {
  let level: object[] = [root];
  for (let depth = 1; level.length > 0; depth += 1) {
    if (depth > MAX_NESTING) return 'body is nested too deep';
    const next: object[] = [];
    for (const parent of level) {
      for (const key of Object.keys(parent)) {
        if (FORBIDDEN_KEYS.has(key)) return 'body has a forbidden key';
        const child = (parent as Record<string, unknown>)[key];
        if (typeof child === 'object' && child !== null) next.push(child);
      }
    }
    level = next;
  }
  return undefined;
}

function readHistory(header: unknown, attempt: number): readonly AttemptRecord[] | UnreadableReason {
  if (header === undefined) return attempt === 1 ? [] : 'history header does not tell every earlier attempt';
  if (typeof header !== 'string') return 'history header is not JSON';
  if (Buffer.byteLength(header) > MAX_HISTORY_BYTES) return 'history header is too long';
  const history = parseJson(header);
  if (history === undefined) return 'history header is not JSON';
  if (!Array.isArray(history) || history.length !== attempt - 1 || !history.every(isAttemptRecord)) {
    return 'history header does not tell every earlier attempt';
  }
  // A result of a newer version is carried along. Only after a success there can be no other attempt.
  const isStory = isAttemptSequence(history) && history.every((record) => record.result !== 'sent');
  return isStory ? history.map(rebuiltAttempt) : 'history header does not tell every earlier attempt';
}

function foreignHeadersOf(headers: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const foreign: Record<string, unknown> = {};
  for (const name of Object.keys(headers)) {
    if (!OWN_HEADERS.has(name) && !isStrippedHeader(name)) foreign[name] = headers[name];
  }
  return foreign;
}

function isAbsentOr(form: RegExp, property: unknown): boolean {
  return property === undefined || property === '' || (typeof property === 'string' && form.test(property));
}

function isWholeNumberWithin(value: unknown, min: number, max: number): value is number {
  return Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max;
}

function isTime(value: unknown): value is number | undefined {
  return value === undefined || isWholeNumberWithin(value, 0, MAX_TIME_MS);
}

function timestampOf(timestamp: unknown): number | undefined {
  return isWholeNumberWithin(timestamp, 1, MAX_TIME_MS / 1_000) ? timestamp * 1_000 : undefined;
}

function unreadable(reason: UnreadableReason): Decoded {
  return { kind: 'unreadable', reason };
}
