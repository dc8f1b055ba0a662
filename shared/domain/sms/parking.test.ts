import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { isOutcomeRecord } from '../outcome/outcome.ts';
import type { IncomingMessage } from './message.ts';
import {
  type Digest,
  encodeParked,
  encodeParkedMinimal,
  identityOfUnreadable,
  parkedRecordOf,
  reasonOfDeadLetter,
} from './parking.ts';
import { isSmsId } from './sms.ts';

const nowMs = Date.UTC(2026, 10, 22, 10);
const at = '2026-11-22T10:00:00.000Z';
const digest: Digest = (...parts) => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest('hex');
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

  test('is the id in its body where there is no other', () => {
    const body = Buffer.from('{"id":"a1","to":"nobody"}');
    expect([undefined, '', 'a/b'].map((messageId) => identityOf({ body, messageId }))).toEqual([
      'a1',
      'a1',
      expect.stringMatching(/^parked-/),
    ]);
  });

  test('is a hash of a journal message, whatever its id', () =>
    expect(identityOf({ messageId: 'demo-000001', type: 'journal' })).toMatch(/^parked-/));

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

const parkedOf = (change: Partial<IncomingMessage> = {}, reason = 'body is not JSON') => ({
  message: { ...message, ...change },
  reason,
  identity: 'id-1',
  nowMs,
});

describe('the record of a parked message', () => {
  test('has the reason, what can be read of the message and its body in base64, and counts as an outcome', () => {
    const change = { headers: { run: 'demo', 'x-death': [] }, contentEncoding: 'gzip' };
    const record = parkedRecordOf(parkedOf(change), 'sms', digest);
    expect(record).toEqual({
      smsId: 'id-1',
      run: 'demo',
      queue: 'sms',
      status: 'parked',
      reason: 'body is not JSON',
      acceptedAt: at,
      finishedAt: at,
      attempts: [],
      messageId: 'a/b',
      contentType: 'application/json',
      contentEncoding: 'gzip',
      headers: { run: 'demo' },
      raw: Buffer.from('not JSON').toString('base64'),
      rawBytes: 8,
      rawDigest: createHash('sha256').update('not JSON').digest('hex'),
    });
    expect(isOutcomeRecord(record)).toBe(true);
  });

  test('names the trace of the message, where its header is one', () => {
    const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
    expect(parkedRecordOf(parkedOf({ headers: { traceparent } }), 'sms', digest)).toMatchObject({
      traceparent,
    });
    expect(parkedRecordOf(parkedOf(), 'sms', digest)).not.toHaveProperty('traceparent');
  });

  test.each([undefined, 7, 'a/b'])('belongs to the run of foreigners where its run is %j', (run) => {
    expect(parkedRecordOf(parkedOf({ headers: { run } }), 'sms', digest).run).toBe('foreign');
  });

  test('holds the first 8 KiB of a large one, and says how large it was and what its digest is', () => {
    const body = Buffer.alloc(70_000, 'x');
    const record = parkedRecordOf(parkedOf({ body }), 'sms', digest);
    expect(Buffer.from(record.raw ?? '', 'base64')).toEqual(body.subarray(0, 8_192));
    expect(record.rawBytes).toBe(70_000);
    expect(record.rawDigest).toBe(digest(body));
  });

  test('stays below 16 KiB whatever the message holds', () => {
    const headers = Object.fromEntries(
      Array.from({ length: 500 }, (_, index) => [`${index}${'ü'.repeat(120)}`, '\ud800'.repeat(10_000)]),
    );
    const message = { body: Buffer.alloc(2 ** 20), headers, messageId: '\u0001'.repeat(5_000) };
    const line = JSON.stringify(parkedRecordOf(parkedOf(message), 'sms', digest));
    expect(Buffer.byteLength(line)).toBeLessThan(32 * 1024);
  });

  test('says of headers that are nested or bytes only what they are', () => {
    const headers = { nested: { a: 1 }, list: [1], bytes: Buffer.from('a'), nothing: null, flag: true };
    expect(parkedRecordOf(parkedOf({ headers }), 'sms', digest).headers).toEqual({
      nested: '(object)',
      list: '(object)',
      bytes: '(bytes)',
      nothing: null,
      flag: true,
    });
  });

  test('holds nothing that its sender chose, in the minimal form, but the beginning of the body', () => {
    const record = parkedRecordOf(parkedOf(), 'sms', digest, [], true);
    expect(record).not.toHaveProperty('headers');
    expect(record).not.toHaveProperty('messageId');
    expect(record.raw).toBe(Buffer.from('not JSON').toString('base64'));
  });
});

describe('the message for the parked queue', () => {
  const whyAndWhen = { 'parked-reason': 'body is not JSON', 'parked-at': at, 'parked-id': 'id-1' };

  test('is the message as it came, why and when, and the id of its record', () => {
    expect(encodeParked(parkedOf({ contentEncoding: 'gzip' }))).toEqual({
      routingKey: 'parked',
      messageId: 'a/b',
      type: 'parked',
      contentType: 'application/json',
      contentEncoding: 'gzip',
      timestampMs: nowMs,
      headers: { traceparent: '00-1-2-01', tenant: 'a', ...whyAndWhen },
      body: message.body,
    });
  });

  test('can do without headers that cannot be encoded again', () => {
    expect(encodeParked(parkedOf(), false).headers).toEqual(whyAndWhen);
  });

  test.each([undefined, '', 7, 'x'.repeat(256), 'ä'.repeat(128)])(
    'has our identity where the id %j cannot be told to RabbitMQ',
    (messageId) => expect(encodeParked(parkedOf({ messageId })).messageId).toBe('id-1'),
  );

  test.each([undefined, 7, 'x'.repeat(256), '\ufffd'.repeat(120)])(
    'is bytes where the content type %j cannot be told to RabbitMQ',
    (contentType) =>
      expect(encodeParked(parkedOf({ contentType })).contentType).toBe('application/octet-stream'),
  );

  test('has its id in base64 in the minimal form, and nothing else that its sender chose but the body', () => {
    expect(encodeParkedMinimal(parkedOf())).toEqual({
      routingKey: 'parked',
      messageId: 'id-1',
      type: 'parked',
      contentType: 'application/octet-stream',
      timestampMs: nowMs,
      headers: { ...whyAndWhen, 'parked-message-id': Buffer.from('a/b').toString('base64') },
      body: message.body,
    });
  });
});

describe('why RabbitMQ took a message out of its queue', () => {
  const again = 'send it again under another id where it is still wanted';
  test.each([
    [
      'expired',
      'sms.work',
      'expired before a sender took it: send it again under another id, without expiration',
    ],
    ['delivery_limit', 'sms.due', `was handed to senders too often: ${again}`],
    ['delivery_limit', 'sms.journal', 'was handed to recorders too often'],
    ['rejected', 'sms.work', `was rejected: ${again}`],
    ['rejected', 'sms.journal', 'was rejected'],
    ['maxlen', 'sms.work', 'RabbitMQ took it out of its queue'],
  ])('%s from %s: %s', (reason, queue, sentence) => {
    const older = { reason: 'expired', queue: 'sms.retry.1.5s' };
    expect(reasonOfDeadLetter({ ...message, headers: { 'x-death': [{ reason, queue }, older] } })).toBe(
      sentence,
    );
  });

  test.each([undefined, 'expired', [], [null], [{}], {}])('is not known where x-death is %j', (deaths) => {
    expect(reasonOfDeadLetter({ ...message, headers: { 'x-death': deaths } })).toBe(
      'RabbitMQ took it out of its queue',
    );
  });
});
