import { array, constantFrom, dictionary, integer, option, record, string, stringMatching } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { forAll } from '../../../tests/kit/for-all.ts';
import type { AttemptRecord } from '../outcome/attempt.ts';
import {
  decodeEnvelope,
  type Envelope,
  encodeBody,
  encodeEnvelope,
  encodeFresh,
  HEADERS_UNDECODABLE,
  smsIdIn,
} from './envelope.ts';
import type { IncomingMessage, OutgoingMessage } from './message.ts';
import { isRunName, PRIORITIES } from './sms.ts';
import { explainUnreadable, type UnreadableReason } from './unreadable-reason.ts';

const startedAt = '2026-11-22T10:00:00.000Z';
const failed = (attempt: number): AttemptRecord => ({
  attempt,
  startedAt,
  tookMs: 5,
  result: 'failed',
  reason: 'timeout',
});
const TRACEPARENT = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
const content = { to: '+15550100001', text: 'Hello' };
const json = (value: unknown) => Buffer.from(JSON.stringify(value));
const good: IncomingMessage = {
  messageId: 'demo-000001',
  contentType: 'application/json',
  type: 'sms',
  headers: {},
  body: json(content),
};
const nested = (depth: number, open: string, close: string) =>
  Buffer.from(`{"to":"+15550100001","text":"Hello","x":${open.repeat(depth)}1${close.repeat(depth)}}`);

/** The way through RabbitMQ: the timestamp becomes whole seconds, as AMQP has it. */
function throughRabbitMq({ timestampMs, ...message }: OutgoingMessage): IncomingMessage {
  return { ...message, timestamp: Math.floor(timestampMs / 1_000) };
}

function readable(message: IncomingMessage): Envelope {
  const decoded = decodeEnvelope(message);
  if (decoded.kind === 'unreadable') throw new Error(decoded.reason);
  return decoded.envelope;
}

const times = integer({ min: 1, max: 8.64e15 });
const label = string({ maxLength: 256, unit: 'grapheme-ascii' });
const envelopes = record({
  sms: record(
    {
      id: stringMatching(/^[A-Za-z0-9._:-]{1,128}$/),
      run: stringMatching(/^[A-Za-z0-9._-]{1,64}$/).filter(isRunName),
      to: stringMatching(/^\+[1-9]\d{6,14}$/),
      text: string({ minLength: 1, maxLength: 400, unit: 'binary' }),
      from: label,
      reference: label,
    },
    { requiredKeys: ['id', 'run', 'to', 'text'] },
  ),
  acceptedAtMs: option(times, { nil: undefined }),
  notBeforeMs: option(times, { nil: undefined }),
  expiresAtMs: option(times, { nil: undefined }),
  priority: option(constantFrom(...PRIORITIES), { nil: undefined }),
  traceparent: option(stringMatching(/^00-[0-9a-f]{31}1-[0-9a-f]{15}1-[0-9a-f]{2}$/), { nil: undefined }),
  redriveOf: option(stringMatching(/^[\w.:-]{1,128}$/), { nil: undefined }),
  history: array(
    record(
      {
        startedAt: integer({ min: 0, max: 4e12 }).map((atMs) => new Date(atMs).toISOString()),
        lateMs: integer(),
        tookMs: integer({ min: 0 }),
        reason: string({ maxLength: 200 }),
      },
      { requiredKeys: ['startedAt', 'tookMs'] },
    ),
    { maxLength: 50 },
  ).map((records) =>
    records.map((rest, index): AttemptRecord => ({ attempt: index + 1, result: 'failed', ...rest })),
  ),
  foreignHeaders: dictionary(stringMatching(/^h-[\w-]{0,20}$/), string()),
}).map((parts): Envelope => {
  return { ...parts, body: encodeBody(parts.sms), attempt: parts.history.length + 1 };
});

test('an SMS comes out of RabbitMQ as it went in', () => {
  forAll(envelopes, constantFrom('work', 'due', 'retry.2.30s'), (envelope, routingKey) => {
    const message = encodeEnvelope(envelope, routingKey);
    expect(message.routingKey).toBe(routingKey);
    expect(readable(throughRabbitMq(message))).toEqual(envelope);
  });
});

test('a message looks as INTERFACE.md tells foreign clients', () => {
  const envelope: Envelope = {
    sms: { id: 'demo-000001', run: 'demo', ...content, reference: 'order 7' },
    body: json({ ...content, reference: 'order 7' }),
    attempt: 2,
    acceptedAtMs: 1_000_500,
    notBeforeMs: 1_005_500,
    expiresAtMs: 1_900_000,
    priority: 'high',
    traceparent: TRACEPARENT,
    redriveOf: 'demo-000000',
    history: [failed(1)],
    foreignHeaders: { tenant: 'a' },
  };
  expect(encodeBody(envelope.sms)).toEqual(envelope.body);
  expect(encodeEnvelope(envelope)).toEqual({
    routingKey: 'work',
    messageId: 'demo-000001',
    type: 'sms',
    contentType: 'application/json',
    timestampMs: 1_000_500,
    headers: {
      attempt: 2,
      run: 'demo',
      acceptedAt: 1_000_500,
      notBefore: 1_005_500,
      expiresAt: 1_900_000,
      priority: 'high',
      traceparent: TRACEPARENT,
      redriveOf: 'demo-000000',
      history: JSON.stringify([failed(1)]),
      tenant: 'a',
    },
    body: envelope.body,
  });
});

test('a body is the JSON of what was written, whatever it is', () => {
  forAll(envelopes, ({ sms: { to, text, from, reference }, sms }) => {
    expect(encodeBody(sms).toString()).toBe(
      Buffer.from(JSON.stringify({ to, text, from, reference })).toString(),
    );
  });
  for (let code = 0; code < 0x10000; code += 1) {
    const text = `a${String.fromCharCode(code)}z`;
    expect(encodeBody({ id: 'a', run: 'r', to: '+1', text }).toString()).toBe(
      JSON.stringify({ to: '+1', text }),
    );
  }
});

test('an SMS that nobody has attempted yet is encoded as its envelope would be', () => {
  forAll(envelopes, ({ sms, acceptedAtMs = 0, notBeforeMs, expiresAtMs, priority, traceparent }) => {
    const wishes = { notBeforeMs, expiresAtMs, priority };
    const envelope = {
      sms,
      ...wishes,
      traceparent,
      redriveOf: undefined,
      body: encodeBody(sms),
      attempt: 1,
      acceptedAtMs,
      history: [],
      foreignHeaders: {},
    };
    expect(encodeFresh(sms, acceptedAtMs, 'work.1', wishes, traceparent)).toEqual(
      encodeEnvelope(envelope, 'work.1'),
    );
  });
});

describe('a message of a foreign client', () => {
  test('needs no more than an id and a body', () => {
    expect(readable({ messageId: 'their:1', headers: {}, body: good.body })).toEqual({
      sms: { id: 'their:1', run: 'foreign', ...content },
      body: good.body,
      attempt: 1,
      acceptedAtMs: undefined,
      notBeforeMs: undefined,
      history: [],
      foreignHeaders: {},
    });
  });

  test('was accepted when its timestamp says so', () => {
    expect(readable({ ...good, timestamp: 1_000 }).acceptedAtMs).toBe(1_000_000);
  });

  test.each([
    ...['application/json', 'application/json; charset=utf-8', 'Application/JSON', 'text/json'],
    ...['text/plain', 'text/plain; charset=UTF-8', 'application/octet-stream', 'application/data', ''],
    ...['application/vnd.acme.sms+json', 'application/problem+json;v=1', 'text/x-sms+json'],
  ])('may call its content "%s"', (contentType) =>
    expect(readable({ ...good, contentType }).sms).toMatchObject(content),
  );

  test.each(['utf-8', 'UTF-8', 'utf8', 'us-ascii', 'identity', 'binary', '', undefined])(
    'may say that its content is encoded as %j',
    (contentEncoding) => expect(readable({ ...good, contentEncoding }).sms).toMatchObject(content),
  );

  test.each([undefined, ''])('may tell its id in the body where its message id is %j', (messageId) => {
    const message = { ...good, messageId, ...withContent({ id: 'order:7' }) };
    const envelope = readable(message);
    expect(envelope.sms).toEqual({ id: 'order:7', run: 'foreign', ...content });
    // The retry has it as its message id, and the same body.
    const retry = throughRabbitMq(encodeEnvelope({ ...envelope, attempt: 2, history: [failed(1)] }));
    expect(retry).toMatchObject({ messageId: 'order:7', body: message.body });
    expect(readable(retry).sms).toEqual(envelope.sms);
  });

  test('is known by its message id, whatever id is in its body', () => {
    expect(readable({ ...good, ...withContent({ id: 'order:7' }) }).sms.id).toBe('demo-000001');
    expect(readable({ ...good, ...withContent({ id: { a: 1 } }) }).sms.id).toBe('demo-000001');
  });

  test.each([
    ['extra keys in its body', json({ ...content, priority: 'high', tags: { a: [1] } })],
    ['white space around its body', Buffer.from(` ${JSON.stringify(content)}\n`)],
    ['a text of 1,600 emoji', json({ ...content, text: '😀'.repeat(1_600) })],
  ])('may have %s', (_, body) => {
    expect(readable({ ...good, body }).body).toBe(body);
  });

  test('keeps the headers of other software, and loses those that RabbitMQ would act upon', () => {
    const forged = {
      'x-death': [{ count: 99, queue: 'sms.work', reason: 'expired' }],
      'x-first-death-queue': 'sms.work',
      'x-last-death-reason': 'expired',
      'x-delivery-count': 7,
      CC: ['sms.parked'],
      BCC: ['sms.parked'],
    };
    const envelope = readable({ ...good, headers: { ...forged, tenant: 'a' } });
    expect(envelope).toMatchObject({ attempt: 1, foreignHeaders: { tenant: 'a' } });
    expect(encodeEnvelope(envelope).headers).toEqual({
      attempt: 1,
      run: 'foreign',
      tenant: 'a',
    });
  });
});

type Change = Partial<IncomingMessage>;
const withHistory = (attempt: unknown, history: unknown): Change => ({ headers: { attempt, history } });
const withContent = (change: object): Change => ({ body: json({ ...content, ...change }) });
const withBodyId = (id: unknown, messageId?: string): Change => ({ messageId, ...withContent({ id }) });
const notUtf8 = 'content encoding is not utf-8';
const notEveryAttempt = 'history header does not tell every earlier attempt';
const notAnAttempt = 'attempt header is not a whole number from 1 to 1000';

function nestedTable(depth: number): object {
  let table = {};
  for (let level = 1; level < depth; level += 1) table = { a: table };
  return table;
}

/** Every message of reference/faults.md that nobody can read, and some more. */
const UNREADABLE: readonly (readonly [name: string, reason: UnreadableReason, change: Change])[] = [
  ['an empty body', 'body is empty', { body: Buffer.alloc(0) }],
  ['a body that is not UTF-8', 'body is not UTF-8', { body: Buffer.from([0x7b, 0xff, 0x7d]) }],
  ['a body that is not JSON', 'body is not JSON', { body: Buffer.from('{"to":') }],
  ['a list as body', 'body is not a JSON object', { body: json([content]) }],
  ['null as body', 'body is not a JSON object', { body: json(null) }],
  ['a text as body', 'body is not a JSON object', { body: json('hello') }],
  ['no phone number', 'to is missing', withContent({ to: undefined })],
  ['an empty phone number', 'to is missing', withContent({ to: '' })],
  ['a phone number that is none', 'to is not a phone number', withContent({ to: '0155501' })],
  ['a phone number as number', 'to is not a phone number', withContent({ to: 15550100001 })],
  ['no text', 'text is missing', withContent({ text: undefined })],
  ['a text that is none', 'text is not a string', withContent({ text: { a: 1 } })],
  ['an empty text', 'text is empty', withContent({ text: '' })],
  ['1,601 characters', 'text is too long', withContent({ text: 'x'.repeat(1_601) })],
  ['1,601 emoji', 'text is too long', withContent({ text: '😀'.repeat(1_601) })],
  ['a sender name that is none', 'from is not a short text', withContent({ from: 7 })],
  ['a reference too long', 'reference is not a short text', withContent({ reference: 'x'.repeat(257) })],
  ['over 64 KiB', 'body is over 64 KiB', withContent({ pad: 'x'.repeat(65_536) })],
  ['10,000 lists in each other', 'body is nested too deep', { body: nested(10_000, '[', ']') }],
  ['10,000 objects in each other', 'body is nested too deep', { body: nested(10_000, '{"a":', '}') }],
  [
    'a key __proto__',
    'body has a forbidden key',
    { body: Buffer.from('{"to":"+15550100001","text":"a","__proto__":{"x":1}}') },
  ],
  ['a key constructor, further in', 'body has a forbidden key', withContent({ a: { constructor: 1 } })],
  ['headers nested 17 deep', 'headers are nested too deep', { headers: { a: nestedTable(17) } }],
  ['headers nested 10,000 deep', 'headers are nested too deep', { headers: { a: nestedTable(10_000) } }],
  [
    'headers that were not decoded',
    'headers cannot be decoded',
    { headers: { [HEADERS_UNDECODABLE]: true } },
  ],
  ['no id', 'message id is missing', { messageId: undefined }],
  ['an empty id', 'message id is missing', { messageId: '' }],
  ['an over-long id', 'message id is not an SMS id', { messageId: 'x'.repeat(129) }],
  ['an id with a control character', 'message id is not an SMS id', { messageId: 'a\u0007b' }],
  ['an id with a line feed at its end', 'message id is not an SMS id', { messageId: 'a\n' }],
  ['an id with braces', 'message id is not an SMS id', { messageId: 'a{b}' }],
  ['an id with a slash', 'message id is not an SMS id', { messageId: '../a' }],
  ['an id that is no text', 'message id is not an SMS id', { messageId: 7 }],
  ['an id in its body that is a number', 'id in the body is not an SMS id', withBodyId(7)],
  ['an id in its body with a slash', 'id in the body is not an SMS id', withBodyId('a/b')],
  ['an id in its body that is too long', 'id in the body is not an SMS id', withBodyId('x'.repeat(129))],
  ['an empty id in its body', 'message id is missing', withBodyId('')],
  ['null for an id in its body', 'message id is missing', withBodyId(null)],
  ['an id in its body beside one with a slash', 'message id is not an SMS id', withBodyId('a', 'a/b')],
  ['neither an id nor JSON', 'body is not JSON', { messageId: undefined, body: Buffer.from('Hello') }],
  ['gzip for its encoding', notUtf8, { contentEncoding: 'gzip' }],
  ['base64 for its encoding', notUtf8, { contentEncoding: 'base64' }],
  ['UTF-16 for its encoding', notUtf8, { contentEncoding: 'utf-16' }],
  ['two encodings', notUtf8, { contentEncoding: 'utf-8, gzip' }],
  ['an encoding that is no text', notUtf8, { contentEncoding: 8 }],
  ['half a surrogate pair', 'text is not valid Unicode', withContent({ text: 'a\ud83d' })],
  ['a number for its text', 'text is not a string', withContent({ text: 7 })],
  ['an unknown content type', 'content type is unknown', { contentType: 'application/xml' }],
  ['a content type of HTML', 'content type is unknown', { contentType: 'text/html' }],
  ['almost +json', 'content type is unknown', { contentType: 'application/vnd.acme+jsonl' }],
  ['a content type that is no text', 'content type is unknown', { contentType: 7 }],
  ['almost the content type', 'content type is unknown', { contentType: 'application/jsonx' }],
  ['a run with a slash', 'run header is not a run name', { headers: { run: 'a/b' } }],
  ['a run that is a path step', 'run header is not a run name', { headers: { run: '.' } }],
  ['a run that is a step up', 'run header is not a run name', { headers: { run: '..' } }],
  ['a run that is no text', 'run header is not a run name', { headers: { run: 7 } }],
  ['attempt 0', notAnAttempt, { headers: { attempt: 0 } }],
  ['a negative attempt', notAnAttempt, { headers: { attempt: -1 } }],
  ['a fraction of an attempt', notAnAttempt, { headers: { attempt: 1.5 } }],
  ['an attempt as text', notAnAttempt, { headers: { attempt: '2' } }],
  ['an attempt that is true', notAnAttempt, { headers: { attempt: true } }],
  ['an attempt above 1,000', notAnAttempt, { headers: { attempt: 1_001 } }],
  ['an attempt above 2^53', notAnAttempt, { headers: { attempt: 2 ** 60 } }],
  ['a negative time of acceptance', 'acceptedAt header is not a time', { headers: { acceptedAt: -1 } }],
  ['a time after all times', 'notBefore header is not a time', { headers: { notBefore: 8.64e15 + 1 } }],
  ['a time as text', 'notBefore header is not a time', { headers: { notBefore: startedAt } }],
  ['a history that is not JSON', 'history header is not JSON', withHistory(2, '[')],
  ['a history that is no text', 'history header is not JSON', withHistory(2, { 0: failed(1) })],
  ['a history too long to be one', 'history header is too long', withHistory(2, ' '.repeat(50_000))],
  ['a second attempt without history', notEveryAttempt, withHistory(2, undefined)],
  ['a history that is no list', notEveryAttempt, withHistory(2, '{"0":1}')],
  ['a history with an entry too few', notEveryAttempt, withHistory(3, JSON.stringify([failed(1)]))],
  ['a history with an entry too many', notEveryAttempt, withHistory(1, JSON.stringify([failed(1)]))],
  ['a history with a gap', notEveryAttempt, withHistory(3, JSON.stringify([failed(1), failed(3)]))],
  ['a history of nonsense', notEveryAttempt, withHistory(2, '[null]')],
  [
    'a history that ends in success',
    notEveryAttempt,
    withHistory(2, JSON.stringify([{ ...failed(1), result: 'sent' }])),
  ],
];

test.each(UNREADABLE)('a message with %s cannot be read: %s', (_, reason, change) => {
  expect(decodeEnvelope({ ...good, ...change })).toEqual({ kind: 'unreadable', reason });
});

test.each(UNREADABLE)('of a message with %s is told how to send it right', (_, reason) => {
  const told = explainUnreadable(reason);
  expect(told.startsWith(reason)).toBe(true);
  expect(Buffer.byteLength(told)).toBeLessThan(200);
  // What is needed is in the reason itself here.
  if (!reason.endsWith('is not valid Unicode')) expect(told).toMatch(/: (send|set|leave) /);
});

test.each([
  ['its message id', {}, 'demo-000001'],
  ['the id in its body', withBodyId('a1'), 'a1'],
  [
    'the id in its body, if nothing else can be read',
    { ...withBodyId('a1'), contentType: 'text/html' },
    'a1',
  ],
  ['nothing, with an id that is none', withBodyId('a1', 'a/b'), undefined],
  ['nothing, with a body that is none', { messageId: '', body: Buffer.from('{') }, undefined],
  ['nothing, with a body over 64 KiB', { ...withBodyId('x'.repeat(70_000)) }, undefined],
])('a message is known by %s', (_, change, id) => expect(smsIdIn({ ...good, ...change })).toBe(id));

test('a body of 64 KiB and 16 levels is not refused', () => {
  const room = 65_536 - json({ ...content, pad: '' }).length;
  expect(decodeEnvelope({ ...good, ...withContent({ pad: 'x'.repeat(room) }) }).kind).toBe('readable');
  expect(decodeEnvelope({ ...good, body: nested(15, '[', ']') }).kind).toBe('readable');
  expect(decodeEnvelope({ ...good, body: nested(16, '[', ']') }).kind).toBe('unreadable');
});
