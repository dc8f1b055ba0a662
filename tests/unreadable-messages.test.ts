/** Messages that nobody can read, among SMS that are fine, while a real sender runs. */
import { deflateSync, gzipSync } from 'node:zlib';
import { type ConfirmChannel, connect, type Options } from 'amqplib';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import type { OutcomeRecord } from '../shared/domain/outcome/outcome.ts';
import { smsIdOf } from '../shared/domain/sms/sms.ts';
import { PipelineUnderTest } from './kit/process/pipeline-under-test.ts';
import type { RunningProcess } from './kit/process/running-process.ts';
import { waitFor } from './kit/wait-for.ts';

const RUN = 'unreadable';
const GOOD_COUNT = 20;
const servers = inject('servers');
const pipeline = new PipelineUnderTest(servers, 'unreadable', {
  FAILURE_RATE: '0',
  MEAN_PROCESSING_TIME: '0.05',
});

interface BadMessage {
  readonly name: string;
  /** How its reason begins; the rest says how to send it right. */
  readonly reason: string;
  readonly body: Buffer;
  readonly properties: Options.Publish;
}

const content = { to: '+15550100001', text: 'Hello' };
const json = (value: unknown) => Buffer.from(JSON.stringify(value));
const failed = (attempt: number) => ({
  attempt,
  startedAt: '2026-11-22T10:00:00.000Z',
  tookMs: 5,
  result: 'failed',
  reason: 'timeout',
});
const deep = (open: string, close: string) =>
  Buffer.from(`{"to":"+15550100001","text":"a","x":${open.repeat(10_000)}1${close.repeat(10_000)}}`);

const nestedTable = (depth: number): object => (depth === 0 ? {} : { a: nestedTable(depth - 1) });

let badCount = 0;
function bad(name: string, reason: string, body: Buffer, properties: Options.Publish = {}): BadMessage {
  badCount += 1;
  const { headers, ...others } = properties;
  return {
    name,
    reason,
    body,
    properties: {
      messageId: `bad-${badCount}`,
      contentType: 'application/json',
      ...others,
      // The name is how the test finds it again; a header of other software is carried along.
      headers: { run: RUN, 'bad-name': name, ...headers },
    },
  };
}
const badBody = (name: string, reason: string, body: Buffer | string) => bad(name, reason, Buffer.from(body));
const badContent = (name: string, reason: string, change: object) =>
  bad(name, reason, json({ ...content, ...change }));
const badHeaders = (name: string, reason: string, headers: object) =>
  bad(name, reason, json(content), { headers: { ...headers } });
const badId = (name: string, reason: string, messageId: string) =>
  bad(name, reason, json({ ...content, reference: name }), { messageId });

const badBodyId = (name: string, reason: string, id: unknown) =>
  bad(name, reason, json({ ...content, reference: name, id }), { messageId: '' });
const badEncoding = (name: string, contentEncoding: string, body = json({ ...content, reference: name })) =>
  bad(name, 'content encoding is not utf-8', body, { contentEncoding });
const badType = (name: string, contentType: string) =>
  bad(name, 'content type is unknown', json({ ...content, reference: name }), { contentType });

const ATTEMPT = 'attempt header is not a whole number from 1 to 1000';
const HISTORY = 'history header does not tell every earlier attempt';
const ID = 'message id is not an SMS id';

const BAD: readonly BadMessage[] = [
  badBody('empty body', 'body is empty', ''),
  badBody('not UTF-8', 'body is not UTF-8', Buffer.from([0x7b, 0xff, 0xfe, 0x7d])),
  badBody('not JSON', 'body is not JSON', '{"to":'),
  badBody('a list', 'body is not a JSON object', '[]'),
  badBody('a text', 'body is not a JSON object', '"hello"'),
  badBody('null', 'body is not a JSON object', 'null'),
  badContent('no to', 'to is missing', { to: undefined }),
  badContent('empty to', 'to is missing', { to: '' }),
  badContent('no text', 'text is missing', { text: undefined }),
  badContent('empty text', 'text is empty', { text: '' }),
  badContent('no phone number', 'to is not a phone number', { to: '5550100001' }),
  badContent('text too long', 'text is too long', { text: 'x'.repeat(1_601) }),
  badContent('over 64 KiB', 'body is over 64 KiB', { pad: 'x'.repeat(65_536) }),
  badContent('900 KiB', 'body is over 64 KiB', { pad: 'x'.repeat(900 * 1024) }),
  badBody('lists 10,000 deep', 'body is nested too deep', deep('[', ']')),
  badBody('objects 10,000 deep', 'body is nested too deep', deep('{"a":', '}')),
  badBody('__proto__', 'body has a forbidden key', '{"to":"+15550100001","text":"a","__proto__":{"to":"x"}}'),
  badHeaders('attempt negative', ATTEMPT, { attempt: -1 }),
  badHeaders('attempt 0', ATTEMPT, { attempt: 0 }),
  badHeaders('attempt a fraction', ATTEMPT, { attempt: 1.5 }),
  badHeaders('attempt a text', ATTEMPT, { attempt: 'two' }),
  badHeaders('attempt above 1,000', ATTEMPT, { attempt: 1_001 }),
  badHeaders('attempt above 2^53', ATTEMPT, { attempt: { '!': 'int64', value: 2 ** 60 } }),
  badHeaders('attempt a table', ATTEMPT, { attempt: { a: 1 } }),
  badHeaders('run with a slash', 'run header is not a run name', { run: 'a/b' }),
  {
    name: 'no id',
    reason: 'message id is missing',
    body: json(content),
    properties: { contentType: 'application/json', headers: { run: RUN, 'bad-name': 'no id' } },
  },
  badId('empty id', 'message id is missing', ''),
  badId('over-long id', ID, 'x'.repeat(129)),
  badId('id of 255 bytes', ID, 'ä'.repeat(127)),
  badId('id with a control character', ID, 'a\u0000\u001bb'),
  badId('id with a line feed', ID, 'a\n'),
  badId('id with braces', ID, 'a{b}'),
  badId('id with slashes', ID, '../../a'),
  badBodyId('id of the body a number', 'id in the body is not an SMS id', 7),
  badBodyId('id of the body a phone number', 'id in the body is not an SMS id', '+15550100001'),
  badBodyId('id of the body in a list', 'id in the body is not an SMS id', ['a1']),
  badBodyId('id of the body empty', 'message id is missing', ''),
  badBody('text of a number', 'text is not a string', '{"to":"+15550100001","text":4711}'),
  badBody('half a surrogate pair', 'text is not valid Unicode', '{"to":"+15550100001","text":"\\ud83d"}'),
  badBody(
    'from of half a pair',
    'from is not valid Unicode',
    `${JSON.stringify(content).slice(0, -1)},"from":"\\udc00"}`,
  ),
  badBody('UTF-16', 'body is not UTF-8', Buffer.from(`\ufeff${JSON.stringify(content)}`, 'utf16le')),
  badBody('Latin-1', 'body is not UTF-8', Buffer.from('{"to":"+15550100001","text":"Grüße"}', 'latin1')),
  badBody('a form', 'body is not JSON', 'to=%2B15550100001&text=Hello'),
  badBody(
    'two objects',
    'body is not JSON',
    '{"to":"+15550100001","text":"a"}\n{"to":"+15550100002","text":"b"}',
  ),
  badEncoding('gzip', 'gzip', gzipSync(json(content))),
  badEncoding('gzip that is none', 'gzip'),
  badEncoding('deflate', 'deflate', deflateSync(json(content))),
  badEncoding('base64', 'base64', Buffer.from(json(content).toString('base64'))),
  badEncoding('an encoding of 255 bytes', 'ä'.repeat(127)),
  badEncoding('an encoding with an escape', '\u001b[2Jutf-8'),
  badType('unknown content type', 'application/x-protobuf'),
  badType('XML', 'application/xml'),
  badType('a form as content type', 'application/x-www-form-urlencoded'),
  badType('a content type with a line feed', 'application/json\nx'),
  badType('pickle', 'application/x-python-serialize'),
  badHeaders('run a number', 'run header is not a run name', { run: 7 }),
  badHeaders('run a step up', 'run header is not a run name', { run: '..' }),
  badHeaders('notBefore an AMQP timestamp', 'notBefore header is not a time', {
    notBefore: { '!': 'timestamp', value: 1_800_000_000 },
  }),
  badHeaders('notBefore a date', 'notBefore header is not a time', { notBefore: '2026-12-01T09:00:00Z' }),
  badHeaders('acceptedAt a fraction', 'acceptedAt header is not a time', { acceptedAt: 0.5 }),
  badHeaders('headers nested 17 deep', 'headers are nested too deep', { deep: nestedTable(17) }),
  badHeaders('history not JSON', 'history header is not JSON', { attempt: 2, history: '[' }),
  badHeaders('history a table', 'history header is not JSON', { attempt: 2, history: { a: 1 } }),
  badHeaders('history missing', HISTORY, { attempt: 2 }),
  badHeaders('history too short', HISTORY, { attempt: 3, history: JSON.stringify([failed(1)]) }),
  badHeaders('history too long', HISTORY, { attempt: 2, history: JSON.stringify([failed(1), failed(2)]) }),
  badHeaders('history with a gap', HISTORY, { attempt: 3, history: JSON.stringify([failed(1), failed(3)]) }),
];

/** SMS that are fine, although somebody forged the headers that RabbitMQ would act upon. */
const FORGED: readonly Options.Publish['headers'][] = [
  { 'x-death': [{ count: 99, queue: `${pipeline.queueName}.work`, reason: 'expired' }] },
  { 'x-first-death-queue': 'other', 'x-last-death-reason': 'expired', 'x-delivery-count': 999_999_999 },
  { 'x-death': 'no list' },
  { traceparent: '00-1-2-01' },
];

/** What other clients set by themselves, and their SMS are sent all the same. */
const FOREIGN: readonly Options.Publish[] = [
  { contentType: 'text/plain', contentEncoding: 'utf-8' },
  { contentType: 'application/data', contentEncoding: 'binary' },
  { contentType: 'application/octet-stream' },
  { contentType: 'text/json; charset=UTF-8' },
  { contentType: 'application/vnd.acme.sms+json' },
  { contentType: '', contentEncoding: '' },
  {},
];
const FOREIGN_RUN = 'foreign-clients';

let sender: RunningProcess;
let connection: Awaited<ReturnType<typeof connect>>;
let channel: ConfirmChannel;

beforeAll(async () => {
  await pipeline.objects.ensureBucket();
  sender = await pipeline.startSender();
  connection = await connect(servers.rabbitmqUrl);
  channel = await connection.createConfirmChannel();
  for (let number = 1; number <= Math.max(GOOD_COUNT, BAD.length); number += 1) {
    if (number <= GOOD_COUNT) publishGood(number);
    const message = BAD[number - 1];
    if (message !== undefined) publish(message.body, message.properties);
  }
  FOREIGN.forEach((properties, index) => {
    // One in two tells its id in the body, as clients do that cannot set a message id.
    const id = `foreign:${index}`;
    const body = index % 2 === 0 ? json({ ...content, id }) : json(content);
    const messageId = index % 2 === 0 ? {} : { messageId: id };
    publish(body, { ...properties, ...messageId, headers: { run: FOREIGN_RUN } });
  });
  await channel.waitForConfirms();
  await waitFor(
    'every message to have its outcome',
    async () => (await pipeline.records()).length >= GOOD_COUNT + BAD.length + FOREIGN.length,
    60_000,
    () => sender.stdout.split('\n').slice(-20).join('\n'),
  );
});

afterAll(async () => {
  await connection?.close();
  await pipeline.end();
});

function publish(body: Buffer, properties: Options.Publish): void {
  channel.publish(pipeline.queueName, 'work', body, { persistent: true, mandatory: true, ...properties });
}

function publishGood(number: number): void {
  const headers = { run: RUN, ...FORGED[number % FORGED.length] };
  publish(json(content), { messageId: smsIdOf(RUN, number), contentType: 'application/json', headers });
}

async function depthOf(queue: string): Promise<number> {
  return (await channel.checkQueue(`${pipeline.queueName}.${queue}`)).messageCount;
}

const beginningWith = (reason: string): string => expect.stringMatching(`^${reason}(: |$)`) as string;
const recordsOf = async (status: OutcomeRecord['status']) =>
  (await pipeline.records()).filter((record) => record.status === status);

test('every unreadable message lies in the parked queue as it came, with reason and time', async () => {
  const parked = new Map<string, { reason: unknown; at: unknown; id: unknown; body: string }>();
  for (;;) {
    const message = await channel.get(`${pipeline.queueName}.parked`);
    if (message === false) break;
    const { 'bad-name': name, 'parked-reason': reason, ...headers } = message.properties.headers ?? {};
    expect(parked.has(String(name))).toBe(false);
    const { 'parked-at': at, 'parked-id': id } = headers;
    parked.set(String(name), { reason, at, id, body: message.content.toString('base64') });
  }
  const expected = BAD.map(({ name, reason, body }): [string, object] => [
    name,
    {
      reason: beginningWith(reason),
      at: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
      id: expect.any(String),
      body: body.toString('base64'),
    },
  ]);
  expect(parked).toEqual(new Map(expected));
  // Each message names its record.
  const ids = (await recordsOf('parked')).map(({ smsId }) => smsId);
  expect([...parked.values()].map(({ id }) => id).sort()).toEqual(ids.sort());
});

test('each has its record in S3, with the reason and what it said', async () => {
  const told = (await recordsOf('parked')).map(({ reason = '', raw, rawBytes }) => ({
    reason: reason.split(': ')[0],
    raw,
    rawBytes,
  }));
  const expected = BAD.map(({ reason, body }) => ({
    reason,
    raw: body.subarray(0, 8_192).toString('base64'),
    rawBytes: body.length,
  }));
  const inOrder = (records: readonly object[]) => records.map((record) => JSON.stringify(record)).sort();
  expect(inOrder(told)).toEqual(inOrder(expected));
});

test('each keeps its id where that is one, and has one of its own where not', async () => {
  const ids = (await recordsOf('parked')).map(({ smsId }) => smsId);
  expect(new Set(ids).size).toBe(BAD.length);
  const badIds = BAD.filter(({ reason }) => /^(message id|id in the body) /.test(reason));
  expect(ids.filter((id) => id.startsWith('parked-'))).toHaveLength(badIds.length);
});

test('each is counted as parked, and the SMS among them are sent, forged headers or not', async () => {
  const redis = new Redis(servers.redisUrl);
  const counted: Record<string, string>[] = [];
  await waitFor('the counters to be settled', async () => {
    const runs = [RUN, 'foreign'].map((run) => redis.hgetall(`${pipeline.queueName}:run:${run}`));
    counted.splice(0, counted.length, ...(await Promise.all(runs)));
    return counted.reduce((sum, { parked }) => sum + Number(parked ?? 0), 0) >= BAD.length;
  });
  redis.disconnect();
  // A run that is none is nobody's.
  const foreignCount = BAD.filter(({ reason }) => reason.startsWith('run header')).length;
  expect(counted).toMatchObject([
    { parked: String(BAD.length - foreignCount), sent: String(GOOD_COUNT) },
    { parked: String(foreignCount) },
  ]);
  const sent = (await recordsOf('sent')).filter(({ run }) => run === RUN);
  expect(sent.map(({ smsId }) => smsId).sort()).toEqual(
    Array.from({ length: GOOD_COUNT }, (_, index) => smsIdOf(RUN, index + 1)),
  );
  expect(sent.filter(({ attempts }) => attempts.length !== 1)).toEqual([]);
});

test('SMS of clients that call their content otherwise, or cannot set a message id, are sent', async () => {
  const sent = (await recordsOf('sent')).filter(({ run }) => run === FOREIGN_RUN);
  expect(sent.map(({ smsId }) => smsId).sort()).toEqual(FOREIGN.map((_, index) => `foreign:${index}`));
});

test('the monitor lists each that is parked, with its reason, and shows no phone number unasked', async () => {
  const list = async (...more: string[]) => {
    const { exitCode, stdout, stderr } = await pipeline.start('monitor', ['--parked', ...more]).ended;
    expect([exitCode, stderr]).toEqual([0, '']);
    return stdout.trimEnd().split('\n');
  };
  const listed = (await list('--json')).map((line) => JSON.parse(line) as Record<string, unknown>);
  const records = await recordsOf('parked');
  const named = (each: Record<string, unknown>) => `${each.smsId} ${each.reason}`;
  expect(listed.map(named).sort()).toEqual(records.map((each) => named({ ...each })).sort());
  expect(listed.find(({ smsId }) => smsId === 'bad-1')).toMatchObject({
    messageId: 'bad-1',
    run: RUN,
    bytes: 0,
  });

  const shown = await list('--run', RUN);
  const ofRun = records.filter(({ run }) => run === RUN).length;
  expect(shown.at(-1)).toMatch(
    new RegExp(`^${ofRun} messages are parked\\. .*${pipeline.queueName}\\.parked`),
  );
  expect(shown.join()).not.toContain('5550100001');
  expect((await list('--run', RUN, '--bodies')).join()).toContain('5550100001');
});

test('an audit of a run that nobody knows is red, one of a run that is known is green', async () => {
  const unknown = await pipeline.audit(['--run', 'unraedable']);
  expect([unknown.exitCode, unknown.report.balanced]).toEqual([1, false]);
  expect(unknown.report.problems).toEqual([expect.stringContaining('know a run "unraedable"')]);
  const known = await pipeline.audit(['--run', FOREIGN_RUN]);
  expect([known.exitCode, known.report.sent, known.report.problems]).toEqual([0, FOREIGN.length, []]);
});

test('CC and BCC of a foreign client do not travel on with a retry', async () => {
  const failing = new PipelineUnderTest(servers, 'forged', { FAILURE_RATE: '1', RETRY_SCHEDULE: '100ms,1h' });
  try {
    await failing.startSender();
    // The exchange of fresh SMS leads to no other queue of ours, so RabbitMQ has nothing to copy the message to.
    const headers = {
      run: RUN,
      'x-death': [{ count: 99 }],
      CC: ['parked'],
      BCC: ['parked'],
      tenant: 'a',
    };
    const properties = { messageId: 'forged-1', contentType: 'application/json', persistent: true, headers };
    channel.publish(failing.queueName, 'work', json(content), properties);
    await channel.waitForConfirms();
    const waiting = `${failing.queueName}.retry.2.1h`;
    await waitFor('the SMS to wait for its third attempt', async () => {
      return (await channel.checkQueue(waiting)).messageCount === 1;
    });
    const message = await channel.get(waiting);
    if (message === false) throw new Error('the retry is gone');
    const names = Object.keys(message.properties.headers ?? {}).sort();
    // This one the queue itself adds.
    expect(names.filter((name) => name !== 'x-delivery-count')).toEqual([
      'acceptedAt',
      'attempt',
      'history',
      'notBefore',
      'run',
      'tenant',
    ]);
    expect((await channel.checkQueue(`${failing.queueName}.parked`)).messageCount).toBe(0);
  } finally {
    await failing.end();
  }
});

test('the sender has not minded: it lives, its queues are empty, and it says no phone number', async () => {
  await waitFor('the queues to be empty', async () => {
    const depths = await Promise.all(['work', 'due', 'journal'].map(depthOf));
    return depths.every((depth) => depth === 0);
  });
  expect(sender.hasEnded).toBe(false);
  const { exitCode, stdout, stderr } = await sender.stop();
  expect(exitCode).toBe(0);
  expect(stdout + stderr).not.toMatch(/\+?1?5550100001|"level":"(error|fatal)"/);
  // Unacknowledged deliveries would be back now.
  expect(await Promise.all(['work', 'due', 'journal'].map(depthOf))).toEqual([0, 0, 0]);
});
