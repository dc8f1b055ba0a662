/** The text message, as its client wrote it. It is never changed on its way. */
export interface SmsContent {
  /** E.164 phone number: `+`, then 7 to 15 digits. */
  readonly to: string;
  /** 1 to 1,600 characters. */
  readonly text: string;
  /** Who the text is from, as the handset shows it. */
  readonly from?: string;
  /** The client's own mark, carried through to the outcome. */
  readonly reference?: string;
}

/** An SMS: content with an id. The id makes it possible to count each SMS exactly once. */
export interface Sms extends SmsContent {
  readonly id: string;
  readonly run: string;
}

/** Whose turn it is among fresh SMS. Retries of all priorities come back through one queue. */
export const PRIORITIES = ['high', 'normal', 'low'] as const;
export type Priority = (typeof PRIORITIES)[number];

/** The run of SMS whose client names no run. */
export const FOREIGN_RUN = 'foreign';

/** What a run name must be, as the end of a sentence. */
export const RUN_NAME_RULE = '1 to 64 letters, digits, dots, underscores or hyphens, and not . or ..';

const PHONE_NUMBER = /^\+[1-9]\d{6,14}$/;
const SMS_ID = /^[A-Za-z0-9._:-]{1,128}$/;
// A run name is a part of object keys, where `.` and `..` would be steps of a path.
const RUN_NAME = /^(?!\.{1,2}$)[A-Za-z0-9._-]{1,64}$/;
const MAX_TEXT_CHARACTERS = 1_600;
const MAX_LABEL_CHARACTERS = 256;

export function isPhoneNumber(value: unknown): value is string {
  return typeof value === 'string' && PHONE_NUMBER.test(value);
}

export function isPriority(value: unknown): value is Priority {
  return PRIORITIES.includes(value as Priority);
}

export function isSmsId(value: unknown): value is string {
  return typeof value === 'string' && SMS_ID.test(value);
}

export function isRunName(value: unknown): value is string {
  return typeof value === 'string' && RUN_NAME.test(value);
}

/** The id of the SMS with that number (from 1) in a run: at least six digits, so that ids sort as numbers do. */
export function smsIdOf(run: string, smsNumber: number): string {
  return `${run}-${String(smsNumber).padStart(6, '0')}`;
}

/** The number back from an id that `smsIdOf` made for this run; undefined for any other id. */
export function smsNumberOf(run: string, smsId: string): number | undefined {
  if (!smsId.startsWith(`${run}-`)) return undefined;
  const digits = smsId.slice(run.length + 1);
  if (!/^\d{6,15}$/.test(digits)) return undefined;
  const smsNumber = Number(digits);
  return smsNumber > 0 && smsIdOf(run, smsNumber) === smsId ? smsNumber : undefined;
}

/** What is wrong with the content of an SMS: a sentence without a phone number and without text of the SMS. */
export type ContentProblem =
  | 'to is missing'
  | 'to is not a phone number'
  | 'text is missing'
  | 'text is not a string'
  | 'text is empty'
  | 'text is too long'
  | 'text is not valid Unicode'
  | 'from is not a short text'
  | 'from is not valid Unicode'
  | 'reference is not a short text'
  | 'reference is not valid Unicode';

/** Reads the content from a parsed object. Unknown keys are ignored. */
export function readSmsContent(
  value: Record<string, unknown>,
): { readonly content: SmsContent } | { readonly problem: ContentProblem } {
  const { to, text, from, reference } = value;
  if (to === undefined || to === null || to === '') return { problem: 'to is missing' };
  if (!isPhoneNumber(to)) return { problem: 'to is not a phone number' };
  if (text === undefined || text === null) return { problem: 'text is missing' };
  if (typeof text !== 'string') return { problem: 'text is not a string' };
  if (text === '') return { problem: 'text is empty' };
  if (!isShortEnough(text, MAX_TEXT_CHARACTERS)) return { problem: 'text is too long' };
  // JSON may hold half of a surrogate pair. Some readers of the outcomes, such as jq, stop at such a line.
  if (!text.isWellFormed()) return { problem: 'text is not valid Unicode' };
  if (!isLabel(from)) return { problem: 'from is not a short text' };
  if (from?.isWellFormed() === false) return { problem: 'from is not valid Unicode' };
  if (!isLabel(reference)) return { problem: 'reference is not a short text' };
  if (reference?.isWellFormed() === false) return { problem: 'reference is not valid Unicode' };
  const content: { to: string; text: string; from?: string; reference?: string } = { to, text };
  if (from !== undefined) content.from = from;
  if (reference !== undefined) content.reference = reference;
  return { content };
}

/** `+1555…0123`: enough to recognise a known number, too little to learn an unknown one. A short number is hidden. */
export function maskPhoneNumber(phoneNumber: string): string {
  return phoneNumber.length < 12 ? '+…' : `${phoneNumber.slice(0, 5)}…${phoneNumber.slice(-4)}`;
}

/** Masks whatever looks like a phone number in a text that is about to be logged. */
export function maskPhoneNumbersIn(text: string): string {
  return text.replace(/\+[1-9]\d{6,14}/g, maskPhoneNumber);
}

// Characters as a person counts them: an emoji is one, although its length in JavaScript is two.
function isShortEnough(text: string, maxCharacters: number): boolean {
  if (text.length <= maxCharacters) return true;
  if (text.length > maxCharacters * 2) return false;
  return [...text].length <= maxCharacters;
}

function isLabel(value: unknown): value is string | undefined {
  return value === undefined || (typeof value === 'string' && isShortEnough(value, MAX_LABEL_CHARACTERS));
}
