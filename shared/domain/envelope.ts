/**
 * The SMS as a message in RabbitMQ: encode, decode, and a typed reason for everything that cannot be read.
 * The body is the content and is never rewritten; the story (attempt, history, times) travels in headers,
 * where the management UI shows it.
 */
import {
  type AttemptRecord,
  isAttemptRecord,
  isAttemptSequence,
  MAX_ATTEMPT_NUMBER,
  rebuiltAttempt,
} from './attempt.ts';
import type { IncomingMessage, OutgoingMessage } from './message.ts';
import { FOREIGN_RUN, isRunName, isSmsId, readSmsContent, type Sms } from './sms.ts';
import { ROUTING_KEYS } from './topology.ts';
import type { UnreadableReason } from './unreadable-reason.ts';

export interface Envelope {
  readonly sms: Sms;
  /** The message body to the byte, for publishing it again. */
  readonly body: Buffer;
  /** The attempt this message is for: 1, 2, … */
  readonly attempt: number;
  /** When RabbitMQ was given the SMS, milliseconds since the epoch; undefined from clients that do not say. */
  readonly acceptedAtMs: number | undefined;
  /** No attempt may start before; undefined means at once. */
  readonly notBeforeMs: number | undefined;
  /** One record for each earlier attempt. */
  readonly history: readonly AttemptRecord[];
  /** Headers of other software (traces, for example), carried along. */
  readonly foreignHeaders: Readonly<Record<string, unknown>>;
}

/** Stands in a message whose headers are nested so deep that they could not even be decoded. */
export const HEADERS_TOO_DEEP = 'x-headers-too-deep';

export type Decoded =
  | { readonly kind: 'readable'; readonly envelope: Envelope }
  | { readonly kind: 'unreadable'; readonly reason: UnreadableReason };

const MAX_BODY_BYTES = 64 * 1024;
// With it an outcome's line stays below 64 KiB, whatever else it holds.
const MAX_HISTORY_BYTES = 40 * 1024;
const MAX_NESTING = 16;
const MAX_TIME_MS = 8.64e15;
const FORBIDDEN_KEYS = new Set(['__proto__', 'constructor', 'prototype']);
// What says that the body is JSON, and what clients set who say nothing of what it is.
const CONTENT_TYPE =
  /^((application|text)\/([\w.+-]+\+)?json|text\/plain|application\/octet-stream|application\/data)\s*(;|$)/i;
// `binary` is what kombu says of bytes: as `identity`, that nothing was done to them.
const CONTENT_ENCODING = /^(utf-?8|us-ascii|ascii|identity|binary)$/i;
const OWN_HEADERS = new Set(['attempt', 'acceptedAt', 'notBefore', 'run', 'history']);
// All but control characters, the quote, the backslash and surrogates, of which JSON escapes lone ones.
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
export function encodeFresh(sms: Sms, acceptedAtMs: number, routingKey: string): OutgoingMessage {
  const headers = { attempt: 1, run: sms.run, acceptedAt: acceptedAtMs };
  return messageOf(sms.id, encodeBody(sms), headers, acceptedAtMs, routingKey);
}

/** A message for the given place in the topology; the timestamp is the second it was accepted. */
export function encodeEnvelope(envelope: Envelope, routingKey: string = ROUTING_KEYS.work): OutgoingMessage {
  const { sms, attempt, acceptedAtMs, notBeforeMs, history } = envelope;
  const headers: Record<string, unknown> = { ...envelope.foreignHeaders, attempt, run: sms.run };
  if (acceptedAtMs !== undefined) headers.acceptedAt = acceptedAtMs;
  if (notBeforeMs !== undefined) headers.notBefore = notBeforeMs;
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

/** Reads a message; total: whatever it holds, the answer is an envelope or a reason. */
export function decodeEnvelope(message: IncomingMessage): Decoded {
  const { headers } = message;
  if (headers[HEADERS_TOO_DEEP] === true || hasNestedTooDeep(headers))
    return unreadable('headers are nested too deep');
  const { contentType, contentEncoding } = message;
  // What ours say is not looked at twice.
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
  const { acceptedAt, notBefore } = headers;
  if (!isTime(acceptedAt)) return unreadable('acceptedAt header is not a time');
  if (!isTime(notBefore)) return unreadable('notBefore header is not a time');
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
      history,
      foreignHeaders: foreignHeadersOf(headers),
    },
  };
}

/**
 * The id of the SMS that the message is, the same each time it is handed out: its message id or, from clients that cannot set
 * one, `id` in the body. Undefined where neither is there, or it is no SMS id; readable or not otherwise.
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
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { problem: 'body is not JSON' };
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return { problem: 'body is not a JSON object' };
  const structure = judgeStructure(value);
  return structure === undefined ? { fields: value as Record<string, unknown> } : { problem: structure };
}

function hasNestedTooDeep(headers: Readonly<Record<string, unknown>>): boolean {
  for (const name in headers) if (isNested(headers[name]) && isNestedTooDeep(headers[name])) return true;
  return false;
}

/** True for a header's value that nobody should walk through by recursion. */
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

// A loop with its own stack: recursion over 10,000 levels would be the crash it is meant to prevent.
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
  let history: unknown;
  try {
    history = JSON.parse(header);
  } catch {
    return 'history header is not JSON';
  }
  if (!Array.isArray(history) || history.length !== attempt - 1 || !history.every(isAttemptRecord)) {
    return 'history header does not tell every earlier attempt';
  }
  // A result of a newer version is carried along: only a success cannot have been followed by another attempt.
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
