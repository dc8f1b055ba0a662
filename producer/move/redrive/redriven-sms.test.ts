import { describe, expect, test } from 'vitest';
import type { OutcomeRecord } from '../../../shared/domain/outcome/outcome.ts';
import { decodeEnvelope } from '../../../shared/domain/sms/envelope.ts';
import type { OutgoingMessage } from '../../../shared/domain/sms/message.ts';
import { UNREADABLE_JOURNAL } from '../../../shared/domain/sms/parking.ts';
import { isSmsId } from '../../../shared/domain/sms/sms.ts';
import { redrivenIdOf, redrivenOf } from './redriven-sms.ts';

const at = '2026-11-29T10:00:00.000Z';
const failed: OutcomeRecord = {
  ...{ smsId: 'demo-000007', run: 'demo', queue: 'sms', to: '+15550100001', text: 'Hello', from: 'Bank' },
  ...{ priority: 'high', notBefore: at, expiresAt: at, status: 'failed', reason: 'expired' },
  ...{ acceptedAt: at, finishedAt: at, attempts: [] },
};
const raw = Buffer.from('{"to":"+15550100001","text":"Grüße","more":[1]}');
const parked: OutcomeRecord = {
  ...{ smsId: 'parked-0123456789abcdef', run: 'foreign', queue: 'sms', status: 'parked', reason: 'no id' },
  ...{ acceptedAt: at, finishedAt: at, attempts: [], raw: raw.toString('base64'), rawBytes: raw.length },
  ...{ contentType: 'application/json' },
};

function messageOf(record: OutcomeRecord): OutgoingMessage {
  const redriven = redrivenOf(record, 'again');
  if ('problem' in redriven) throw new Error(redriven.problem);
  return redriven.message;
}

test('an id is made of the old id and the run, and is short however long they are', () => {
  const ids = ['a', 'b'.repeat(128)].flatMap((id) =>
    ['r', 's'.repeat(64)].map((run) => redrivenIdOf(id, run)),
  );
  expect(new Set(ids).size).toBe(4);
  for (const id of ids) expect([isSmsId(id), id.length]).toEqual([true, 28]);
  expect(redrivenIdOf('a', 'r')).toBe(redrivenIdOf('a', 'r'));
  // Another cut between the two is another pair.
  expect(redrivenIdOf('ab', 'c')).not.toBe(redrivenIdOf('a', 'bc'));
});

test('a failed SMS is sent again with its content and priority, points back, and neither waits nor expires', () => {
  expect(decodeEnvelope(messageOf(failed))).toMatchObject({
    kind: 'readable',
    envelope: {
      ...{ sms: { id: redrivenIdOf('demo-000007', 'again'), run: 'again', text: 'Hello', from: 'Bank' } },
      ...{ attempt: 1, history: [], priority: 'high', redriveOf: 'demo-000007' },
      ...{ notBeforeMs: undefined, expiresAtMs: undefined, acceptedAtMs: undefined },
    },
  });
});

test.each([failed, parked])('an SMS that is sent again belongs to the trace of the old one', (record) => {
  const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
  expect(messageOf({ ...record, traceparent }).headers).toMatchObject({ traceparent });
  expect(messageOf(record).headers).not.toHaveProperty('traceparent');
});

test('a parked message is sent again to the byte, with those headers that its record tells whole', () => {
  const headers = {
    ...{ attempt: 7, history: 'x', run: '!', 'h-short': 'kept', 'h-number': 1, 'h-list': '(object)' },
    ...{ 'h-long': 'x'.repeat(100), [`h-${'n'.repeat(98)}`]: 'x', priority: 'low' },
  };
  const message = messageOf({ ...parked, contentEncoding: 'utf-8', headers });
  expect(message).toMatchObject({ body: raw, contentType: 'application/json', contentEncoding: 'utf-8' });
  expect(message.headers).toEqual({
    ...{ attempt: 1, run: 'again', redriveOf: parked.smsId, priority: 'low' },
    ...{ 'h-short': 'kept', 'h-number': 1 },
  });
});

describe('left is', () => {
  test.each<[string, Partial<OutcomeRecord>, RegExp]>([
    ['a body that its record holds a part of', { ...parked, rawBytes: 9_000 }, /holds \d+ of 9000 bytes/],
    ['a message of the journal', { ...parked, reason: UNREADABLE_JOURNAL }, /no SMS/],
    ['an SMS without content', { ...failed, text: undefined as never }, /no content/],
  ])('%s', (_, record, problem) => {
    expect(redrivenOf(record as OutcomeRecord, 'again')).toMatchObject({
      problem: expect.stringMatching(problem),
    });
  });
});
