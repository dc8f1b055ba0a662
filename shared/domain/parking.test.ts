import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import type { IncomingMessage } from './message.ts';
import { isOutcomeRecord } from './outcome.ts';
import { type Digest, describeParked, encodeParked, identityOfUnreadable } from './parking.ts';
import { isSmsId } from './sms.ts';

const nowMs = Date.UTC(2026, 10, 22, 10);
const at = '2026-11-22T10:00:00.000Z';
const digest: Digest = (...parts) => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest('hex').slice(0, 16);
};
const message: IncomingMessage = {
  body: Buffer.from('not JSON'),
  headers: { traceparent: '00-1-2-01', tenant: 'a', 'x-delivery-count': 1 },
  messageId: 'a/b',
  contentType: 'application/json',
  timestamp: 1_000,
};
const identityOf = (change: Partial<IncomingMessage>) =>
  identityOfUnreadable({ ...message, ...change }, digest);

describe('the identity of a message that cannot be read', () => {
  test('is its id where that is one', () =>
    expect(identityOf({ messageId: 'demo-000001' })).toBe('demo-000001'));

  test('can serve as an SMS id', () => expect(isSmsId(identityOf({}))).toBe(true));

  test.each([
    ['redelivered', { headers: { ...message.headers, 'x-delivery-count': 7 } }],
    ['dead-lettered', { headers: { ...message.headers, 'x-death': [{ count: 2 }] } }],
    ['with its headers in another order', { headers: { tenant: 'a', traceparent: '00-1-2-01' } }],
  ])('is the same when it comes again %s', (_, change) => expect(identityOf(change)).toBe(identityOf({})));

  test.each([
    ['body', { body: Buffer.from('not JSON either') }],
    ['bytes that are the same text', { body: Buffer.from([0xff]) }],
    ['other bytes that are the same text', { body: Buffer.from([0xfe]) }],
    ['message id', { messageId: 'a/c' }],
    ['no message id', { messageId: undefined }],
    ['header', { headers: { ...message.headers, tenant: 'b' } }],
    ['a number that JSON does not know', { headers: { ...message.headers, attempt: 2n ** 60n } }],
    ['timestamp', { timestamp: 1_001 }],
    ['content type', { contentType: 'text/plain' }],
  ])('is another with another %s', (_, change) => {
    const others = [identityOf({}), identityOf({ body: Buffer.from([0xfd]) })];
    expect(others).not.toContain(identityOf(change));
  });
});

describe('the record of a parked message', () => {
  test('has the reason and the message in base64, and counts as an outcome', () => {
    const record = describeParked(
      { ...message, headers: { run: 'demo' } },
      'body is not JSON',
      'id-1',
      'sms',
      nowMs,
    );
    expect(record).toEqual({
      smsId: 'id-1',
      run: 'demo',
      queue: 'sms',
      status: 'parked',
      reason: 'body is not JSON',
      acceptedAt: at,
      finishedAt: at,
      attempts: [],
      raw: Buffer.from('not JSON').toString('base64'),
    });
    expect(isOutcomeRecord(record)).toBe(true);
  });

  test.each([undefined, 7, 'a/b'])('belongs to the run of foreigners where its run is %j', (run) => {
    const record = describeParked({ ...message, headers: { run } }, 'body is not JSON', 'id-1', 'sms', nowMs);
    expect(record.run).toBe('foreign');
  });

  test('holds the first 64 KiB of a large one, and says how large it was', () => {
    const body = Buffer.alloc(70_000, 'x');
    const record = describeParked({ ...message, body }, 'body is over 64 KiB', 'id-1', 'sms', nowMs);
    expect(Buffer.from(record.raw ?? '', 'base64')).toEqual(body.subarray(0, 65_536));
    expect(record.rawBytes).toBe(70_000);
  });
});

describe('the message for the parked queue', () => {
  test('is the message as it came, and why and when', () => {
    expect(encodeParked(message, 'body is not JSON', 'id-1', nowMs)).toEqual({
      routingKey: 'parked',
      messageId: 'a/b',
      type: 'parked',
      contentType: 'application/json',
      timestampMs: nowMs,
      headers: {
        traceparent: '00-1-2-01',
        tenant: 'a',
        'parked-reason': 'body is not JSON',
        'parked-at': at,
      },
      body: message.body,
    });
  });

  test('can do without headers that cannot be encoded again', () => {
    const { headers } = encodeParked(message, 'body is not JSON', 'id-1', nowMs, false);
    expect(Object.keys(headers)).toEqual(['parked-reason', 'parked-at']);
  });

  test.each([undefined, '', 7, 'x'.repeat(256), 'ä'.repeat(128)])(
    'has our identity where the id %j cannot be told to RabbitMQ',
    (messageId) => {
      const parked = encodeParked({ ...message, messageId }, 'message id is missing', 'id-1', nowMs);
      expect(parked.messageId).toBe('id-1');
    },
  );
});
