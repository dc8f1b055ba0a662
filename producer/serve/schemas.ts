/** What the API reads and answers. Each schema validates, is the type, and stands in the OpenAPI document. */
import { z } from 'zod';
import {
  type FieldProblem,
  readSendingRequest,
  type SendingRequest,
} from '../../shared/domain/sms/sending-request.ts';
import { isSmsId, readSmsContent, type SmsContent } from '../../shared/domain/sms/sms.ts';
import type { FieldError } from './problem.ts';

/** What is wrong with a phone number beyond its form; undefined where nothing is. */
export type JudgeNumber = (to: string) => string | undefined;

/** An SMS as a client writes it. What its fields may hold is judged by the same functions as everywhere: see `readSms`. */
export const smsSchema = z
  .strictObject({
    to: z
      .string()
      .describe('E.164: +, then 7 to 15 digits')
      .meta({ examples: ['+4915112345678'] }),
    text: z.string().describe('1 to 1,600 characters'),
    from: z.string().optional().describe('who the text is from, as the handset shows it'),
    reference: z.string().optional().describe('your own mark, carried through to the outcome'),
    id: z
      .string()
      .optional()
      .describe(
        'your own id: 1 to 128 letters, digits, dots, colons, underscores or hyphens; the same id is one SMS',
      ),
    sendAt: z
      .string()
      .optional()
      .describe('not before: RFC 3339 with an offset, or a duration from now')
      .meta({ examples: ['2026-12-01T09:00:00+01:00', '10m'] }),
    priority: z.enum(['high', 'normal', 'low']).optional(),
    validFor: z
      .string()
      .optional()
      .describe('how long it may be sent, from the first moment at which it may: 30s, 5m, 12h, 1d'),
  })
  .meta({ id: 'Sms', examples: [{ to: '+4915112345678', text: 'Hello' }] });

export type WrittenSms = z.infer<typeof smsSchema>;

/** An SMS that can be accepted. */
export interface ReadSms {
  readonly content: SmsContent;
  readonly id: string | undefined;
  readonly sending: SendingRequest;
}

/** Judges all fields at once. Nothing that is said of a field quotes it. */
export function readSms(
  written: WrittenSms,
  nowMs: number,
  judgeNumber: JudgeNumber,
): { readonly sms: ReadSms } | { readonly errors: readonly FieldError[] } {
  const errors: FieldError[] = [];
  const read = readSmsContent(written);
  if ('problem' in read) errors.push(fieldErrorOf(read.problem));
  const numberProblem = 'content' in read ? judgeNumber(read.content.to) : undefined;
  if (numberProblem !== undefined) errors.push({ field: 'to', detail: numberProblem });
  if (written.id !== undefined && !isSmsId(written.id))
    errors.push({
      field: 'id',
      detail: 'is not 1 to 128 letters, digits, dots, colons, underscores or hyphens',
    });
  const asked = readSendingRequest(written, nowMs);
  if ('problems' in asked)
    errors.push(...asked.problems.map(({ field, problem }: FieldProblem) => ({ field, detail: problem })));
  if (errors.length > 0 || 'problem' in read || 'problems' in asked) return { errors };
  return { sms: { content: read.content, id: written.id, sending: asked.request } };
}

/** `to is missing`: the field, and what is wrong with it. */
function fieldErrorOf(problem: string): FieldError {
  const blank = problem.indexOf(' ');
  return { field: problem.slice(0, blank), detail: problem.slice(blank + 1) };
}

export const smsIdSchema = z.string().min(1).max(128).describe('id of an SMS');

export const acceptedSchema = z
  .object({
    id: z.string(),
    acceptedAt: z.iso.datetime().optional().describe('absent where the same request was made before'),
    sendAt: z.iso.datetime().optional(),
    repeated: z.boolean().describe('true where the same request was made before: it is one SMS'),
  })
  .meta({ id: 'Accepted' });

export const messageHeaders = z.object({
  'idempotency-key': z
    .string()
    .min(1)
    .max(255)
    .optional()
    .describe('the same request with the same key within 24 h is one SMS'),
  traceparent: z
    .string()
    .optional()
    .describe('W3C: the trace of the SMS, told in its record; one that cannot be read is ignored'),
});
