/** An SMS that is sent again: a new SMS with an id of its own that points back to the old one. */
import { hash } from 'node:crypto';
import type { OutcomeRecord } from '../../../shared/domain/outcome/outcome.ts';
import { encodeBody } from '../../../shared/domain/sms/envelope.ts';
import type { OutgoingMessage } from '../../../shared/domain/sms/message.ts';
import {
  OF_ANOTHER_QUEUE,
  TOO_LARGE_JOURNAL,
  UNREADABLE_JOURNAL,
} from '../../../shared/domain/sms/parking.ts';
import { isPriority } from '../../../shared/domain/sms/sms.ts';
import { redriveRoutingKey } from '../../../shared/domain/topology/redrive-queue.ts';

/** Eighty bits: among a million ids two agree with a chance of less than one in 10^12. */
const ID_DIGITS = 20;
const OF_THE_JOURNAL = new Set([UNREADABLE_JOURNAL, TOO_LARGE_JOURNAL, OF_ANOTHER_QUEUE]);
/** They belong to the attempts that were, or are given anew. */
const NOT_REPEATED = new Set(['attempt', 'history', 'acceptedAt', 'heldUntil', 'run', 'redriveOf']);
/** A record cuts longer names and values, and tells of a value that is no flat one only what it was. */
const CUT_FROM = 100;
const NOT_FLAT = /^\((bytes|object|undefined|bigint|function|symbol)\)$/;

/** The message, or why an SMS cannot be sent again: the end of a sentence. */
export type Redriven = { readonly message: OutgoingMessage } | { readonly problem: string };

/** The id is a function of the old id and the run, so the same redrive makes the same ids. */
export function redrivenIdOf(smsId: string, run: string): string {
  return `redrive-${hash('sha256', JSON.stringify([run, smsId]), 'hex').slice(0, ID_DIGITS)}`;
}

export function redrivenOf(record: OutcomeRecord, run: string): Redriven {
  return record.status === 'parked' ? parkedAgain(record, run) : failedAgain(record, run);
}

/** The content as it was. The SMS is a new one: it waits for nothing, and is valid as long as it takes. */
function failedAgain(record: OutcomeRecord, run: string): Redriven {
  const { to, text, from, reference, priority } = record;
  if (to === undefined || text === undefined) return { problem: 'its record holds no content' };
  const content = {
    ...{ to, text },
    ...(from === undefined ? {} : { from }),
    ...(reference === undefined ? {} : { reference }),
  };
  const body = encodeBody({ id: redrivenIdOf(record.smsId, run), run, ...content });
  const headers = isPriority(priority) ? { priority } : {};
  return { message: messageOf(record, run, { headers, body, contentType: 'application/json' }) };
}

/** The body to the byte, and the headers as far as the record tells them. */
function parkedAgain(record: OutcomeRecord, run: string): Redriven {
  const { raw, rawBytes, contentType, contentEncoding, reason = '' } = record;
  if (OF_THE_JOURNAL.has(reason) || contentType === 'application/x-ndjson')
    return { problem: 'it is no SMS but a message of the journal' };
  if (raw === undefined) return { problem: 'its record holds no body' };
  const body = Buffer.from(raw, 'base64');
  if (rawBytes !== undefined && rawBytes !== body.length)
    return { problem: `its record holds ${body.length} of ${rawBytes} bytes` };
  const headers = repeatableHeadersOf(record.headers ?? {});
  const more = contentEncoding === undefined ? {} : { contentEncoding };
  return { message: messageOf(record, run, { headers, body, contentType: contentType ?? '', ...more }) };
}

function repeatableHeadersOf(headers: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(headers).filter(([name, value]) => {
      const isCut =
        name.length >= CUT_FROM ||
        (typeof value === 'string' && (value.length >= CUT_FROM || NOT_FLAT.test(value)));
      return !isCut && !NOT_REPEATED.has(name);
    }),
  );
}

// It is accepted when it leaves the queue of the redrive, so its message does not say when: its first attempt does.
function messageOf(
  { smsId, traceparent }: OutcomeRecord,
  run: string,
  content: Pick<OutgoingMessage, 'headers' | 'body' | 'contentType' | 'contentEncoding'>,
): OutgoingMessage {
  return {
    ...content,
    routingKey: redriveRoutingKey(run),
    messageId: redrivenIdOf(smsId, run),
    type: 'sms',
    timestampMs: 0,
    headers: {
      ...content.headers,
      ...(traceparent === undefined ? {} : { traceparent }),
      ...{ attempt: 1, run, redriveOf: smsId },
    },
  };
}
