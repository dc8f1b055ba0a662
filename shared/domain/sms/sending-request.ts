/** When and how urgently a client asks for an SMS to be sent, as it is written: on a command line, in a file, in a request. */
import { MAX_DURATION_MS, parseDuration } from '../schedule/duration.ts';
import { type MomentProblem, parseMoment } from '../schedule/moment.ts';
import { EXPIRY_MARGIN_MS } from '../schedule/retry-schedule.ts';
import type { SendingWishes } from './envelope.ts';
import { isPriority, type Priority } from './sms.ts';

export interface SendingRequest {
  /** Not to be sent before this moment, milliseconds since the epoch. */
  readonly sendAtMs?: number;
  readonly priority?: Priority;
  /** How long the SMS may be sent, from the first moment at which it may be sent. */
  readonly validForMs?: number;
}

/** The fields of a request as a client writes them; undefined and null: not asked for. */
export interface RequestFields {
  readonly sendAt?: unknown;
  readonly priority?: unknown;
  readonly validFor?: unknown;
}

/** A field that cannot be used. */
export interface FieldProblem {
  readonly field: keyof RequestFields;
  /** The end of a sentence that begins with the field. It does not quote the value. */
  readonly problem:
    | MomentProblem
    | 'is not high, normal or low'
    | 'is not a duration (write 30s, 5m, 12h or 1d)'
    | 'is too short (at least 2s)'
    | 'is too long (at most a year, 8760h)';
}

// A sender begins nothing in the last second before an SMS expires. A second more is left to begin it in.
const MIN_VALIDITY_MS = EXPIRY_MARGIN_MS + 1_000;

/** True where at least one of the fields is there. */
export function hasRequestFields(fields: RequestFields): boolean {
  const { sendAt, priority, validFor } = fields;
  return (sendAt ?? priority ?? validFor ?? undefined) !== undefined;
}

/**
 * Reads the fields, all problems at once.
 * @param nowMs what a `sendAt` such as `10m` counts from
 * @param others what holds for fields that are not there
 */
export function readSendingRequest(
  fields: RequestFields,
  nowMs: number,
  others: SendingRequest = {},
): { readonly request: SendingRequest } | { readonly problems: readonly [FieldProblem, ...FieldProblem[]] } {
  const { sendAt, priority, validFor } = fields;
  const request: { -readonly [Field in keyof SendingRequest]: SendingRequest[Field] } = { ...others };
  const problems: FieldProblem[] = [];
  if (isThere(sendAt)) {
    const read = parseMoment(textOf(sendAt), nowMs);
    if ('problem' in read) problems.push({ field: 'sendAt', problem: read.problem });
    else request.sendAtMs = read.momentMs;
  }
  if (isThere(priority)) {
    if (isPriority(priority)) request.priority = priority;
    else problems.push({ field: 'priority', problem: 'is not high, normal or low' });
  }
  if (isThere(validFor)) {
    const validForMs = parseValidity(textOf(validFor));
    if (typeof validForMs === 'string') problems.push({ field: 'validFor', problem: validForMs });
    else request.validForMs = validForMs;
  }
  const [first, ...rest] = problems;
  return first === undefined ? { request } : { problems: [first, ...rest] };
}

function isThere(value: unknown): boolean {
  return value !== undefined && value !== null;
}

// An empty text is neither a moment nor a duration.
function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function parseValidity(text: string): number | FieldProblem['problem'] {
  const validForMs = parseDuration(text);
  if (validForMs === undefined) return 'is not a duration (write 30s, 5m, 12h or 1d)';
  if (validForMs < MIN_VALIDITY_MS) return 'is too short (at least 2s)';
  return validForMs > MAX_DURATION_MS ? 'is too long (at most a year, 8760h)' : validForMs;
}

/** What the message of an SMS says that is accepted at that moment. A moment that has passed means at once. */
export function wishesOf(request: SendingRequest, acceptedAtMs: number): SendingWishes {
  const { sendAtMs = acceptedAtMs, priority, validForMs } = request;
  const firstMs = Math.max(sendAtMs, acceptedAtMs);
  return {
    notBeforeMs: firstMs > acceptedAtMs ? firstMs : undefined,
    expiresAtMs: validForMs === undefined ? undefined : firstMs + validForMs,
    priority,
  };
}
