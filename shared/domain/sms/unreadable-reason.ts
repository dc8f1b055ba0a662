/**
 * Why a message cannot be read, and how its client can send it right. A reason holds no phone number and no text of the SMS,
 * so it may be logged and counted.
 */
import { type ContentProblem, RUN_NAME_RULE } from './sms.ts';

const SEND_BODY = 'send {"to":"+…","text":"…"}';
const SET_ID = '1 to 128 letters, digits, dots, underscores, colons or hyphens';
const SET_TIME = 'set milliseconds since the epoch as a whole number, or leave it out';
const LEVELS = 'send at most 16 levels';
const FRESH = 'leave it out on a fresh SMS';

/** All reasons, and what to do about each; empty where the reason says so itself. */
const ADVICE = {
  'to is missing': SEND_BODY,
  'to is not a phone number': 'send a text of + and 7 to 15 digits, the first not 0',
  'text is missing': SEND_BODY,
  'text is not a string': 'send it in quotes',
  'text is empty': 'send 1 to 1,600 characters',
  'text is too long': 'send at most 1,600 characters',
  'text is not valid Unicode': '',
  'from is not a short text': 'send at most 256 characters in quotes, or leave it out',
  'from is not valid Unicode': '',
  'reference is not a short text': 'send at most 256 characters in quotes, or leave it out',
  'reference is not valid Unicode': '',
  'body is empty': SEND_BODY,
  'body is over 64 KiB': 'send nothing but the SMS',
  'body is not UTF-8': `${SEND_BODY} in UTF-8, not compressed`,
  'body is not JSON': SEND_BODY,
  'body is not a JSON object': SEND_BODY,
  'body is nested too deep': LEVELS,
  'body has a forbidden key': 'leave out __proto__, constructor and prototype',
  'content type is unknown': 'set application/json, or none',
  'content encoding is not utf-8': 'send the body as it is, in UTF-8, and set no content encoding',
  'headers cannot be decoded': 'send field types that RabbitMQ knows, and at most 16 levels',
  'headers are nested too deep': LEVELS,
  'message id is missing': 'set the property message-id, or "id" in the body',
  'message id is not an SMS id': `set ${SET_ID}`,
  'id in the body is not an SMS id': `set ${SET_ID} in quotes, or the property message-id`,
  'run header is not a run name': `set ${RUN_NAME_RULE}`,
  'attempt header is not a whole number from 1 to 1000': FRESH,
  'acceptedAt header is not a time': SET_TIME,
  'notBefore header is not a time': SET_TIME,
  'notBefore header is more than a year ahead': SET_TIME,
  'expiresAt header is not a time': SET_TIME,
  'priority header is not high, normal or low': 'set one of them, or leave it out',
  'history header is too long': FRESH,
  'history header is not JSON': FRESH,
  'history header does not tell every earlier attempt': FRESH,
} as const satisfies Readonly<Record<ContentProblem, string>> & Readonly<Record<string, string>>;

export type UnreadableReason = keyof typeof ADVICE;

/** `text is missing: send {"to":"+…","text":"…"}`: what was refused, and how to send it right. */
export function explainUnreadable(reason: UnreadableReason): string {
  const advice: string = ADVICE[reason];
  return advice === '' ? reason : `${reason}: ${advice}`;
}
