/** `producer serve` as a process, with real senders, RabbitMQ, Redis and S3. */
import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest';
import { ApiUnderTest } from './kit/process/api-under-test.ts';
import { PipelineUnderTest } from './kit/process/pipeline-under-test.ts';
import { waitUntil } from './kit/wait-for.ts';

const servers = inject('servers');
const SMS = { to: '+4915112345678', text: 'hello' };
let pipeline: PipelineUnderTest;

beforeEach(() => {
  pipeline = new PipelineUnderTest(servers, 'api', {
    FAILURE_RATE: '0.3',
    PERMANENT_FAILURE_SHARE: '0',
    OUTCOME_BATCH_SECONDS: '0.2',
  });
});
afterEach(() => pipeline.end());

const ENDED = ['sent', 'failed', 'cancelled', 'expired'];
const untilEnded = (api: ApiUnderTest, id: string) =>
  waitUntil(
    `the outcome of ${id}`,
    () => api.get(`/messages/${id}`),
    ({ body }) => ENDED.includes(body.state) && body.record !== undefined,
  );

test('an SMS that is accepted is sent, told with all its attempts, listed, and in the books', async () => {
  const [api] = await Promise.all([ApiUnderTest.start(pipeline), pipeline.startSender()]);
  const accepted = await api.post('/messages', { ...SMS, reference: 'order 7' });
  expect(accepted).toMatchObject({ status: 202, body: { repeated: false } });
  const { id } = accepted.body;
  expect(accepted.headers.get('location')).toBe(`/messages/${id}`);
  const many = await Promise.all(
    Array.from({ length: 40 }, (_, index) => api.post('/messages', { ...SMS, text: `${index}` })),
  );
  expect(new Set(many.map(({ status, body }) => `${status} ${body.id}`)).size).toBe(40);
  const { body: story } = await untilEnded(api, id);
  const records = await waitUntil(
    'all outcomes',
    () => pipeline.records(),
    ({ length }) => length === 41,
  );
  const record = records.find(({ smsId }) => smsId === id);
  expect(story).toMatchObject({
    id,
    ...SMS,
    reference: 'order 7',
    state: record?.status,
    attempts: record?.attempts,
  });
  expect(await pipeline.objects.get(story.record)).toBeDefined();
  const listed: string[] = [];
  for (let cursor = ''; ; ) {
    const { status, body } = await api.get(`/messages?limit=7${cursor}`);
    expect(status).toBe(200);
    listed.push(...body.messages.map(({ id }: { id: string }) => id));
    if (body.cursor === undefined) break;
    cursor = `&cursor=${body.cursor}`;
  }
  expect(listed).toHaveLength(41);
  expect(new Set(listed)).toEqual(new Set(records.map(({ smsId }) => smsId)));
  const stats = await waitUntil(
    'the books',
    () => api.get('/stats'),
    ({ body }) => body.accepted === 41 && body.inProgress === 0,
  );
  const { body: metrics } = await api.get('/metrics');
  expect(metrics).toMatch(/^redial_accepted_total 41$/m);
  expect(metrics).toMatch(
    /^redial_api_request_seconds_count\{method="POST",route="\/messages",status="202"\} 41$/m,
  );
  expect(stats.body).toMatchObject({ sent: records.filter(({ status }) => status === 'sent').length });
});

test('the same request is one SMS: by its key, by its id, and where both come at once', async () => {
  const api = await ApiUnderTest.start(pipeline);
  const key = { 'idempotency-key': 'order-1' };
  const twice = await Promise.all([api.post('/messages', SMS, key), api.post('/messages', SMS, key)]);
  expect(twice.map(({ status }) => status)).toEqual([202, 202]);
  expect(new Set(twice.map(({ body }) => body.id)).size).toBe(1);
  expect(twice.map(({ body }) => body.repeated).sort()).toEqual([false, true]);
  const other = await api.post('/messages', { ...SMS, text: 'other' }, key);
  expect(other).toMatchObject({ status: 409, body: { type: 'urn:redial:idempotency-conflict' } });
  const withId = { ...SMS, id: 'order-2' };
  expect(await api.post('/messages', withId)).toMatchObject({
    status: 202,
    body: { id: 'order-2', repeated: false },
  });
  expect(await api.post('/messages', withId)).toMatchObject({
    status: 202,
    body: { id: 'order-2', repeated: true },
  });
  expect(await api.post('/messages', { ...withId, text: 'other' })).toMatchObject({
    ...{ status: 409, body: { type: 'urn:redial:id-conflict', errors: [{ field: 'id' }] } },
  });
  await pipeline.startSender();
  await pipeline.waitUntilDone(2);
  expect(await api.post('/messages', withId)).toMatchObject({ status: 202, body: { repeated: true } });
});

test('an SMS that waits is scheduled, and can be cancelled or sent now', async () => {
  const [api] = await Promise.all([ApiUnderTest.start(pipeline), pipeline.startSender()]);
  const inAnHour = { ...SMS, sendAt: '1h' };
  const [first, second] = await Promise.all([
    api.post('/messages', inAnHour),
    api.post('/messages', inAnHour),
  ]);
  expect((await api.get(`/messages/${first.body.id}`)).body).toMatchObject({
    state: 'scheduled',
    sendAt: first.body.sendAt,
  });
  const inHold = ({ queues }: { queues: { hold: { messages: number }[] } }) =>
    queues.hold.reduce((sum, { messages }) => sum + messages, 0) === 2;
  await waitUntil('both to be held', async () => (await api.get('/stats')).body, inHold);
  expect(await api.ask('DELETE', `/messages/${first.body.id}`)).toMatchObject({
    status: 200,
    body: { result: 'cancelled' },
  });
  expect(await api.post(`/messages/${second.body.id}/retry-now`)).toMatchObject({
    status: 200,
    body: { result: 'sent now' },
  });
  expect((await untilEnded(api, first.body.id)).body).toMatchObject({ state: 'cancelled', attempts: [] });
  expect((await untilEnded(api, second.body.id)).body.attempts.length).toBeGreaterThan(0);
  expect(await api.ask('DELETE', '/messages/nobody')).toMatchObject({
    status: 200,
    body: { result: 'not met yet' },
  });
  expect(await api.get('/messages/nobodys')).toMatchObject({
    status: 404,
    body: { type: 'urn:redial:unknown-id' },
  });
});

describe('what cannot be used is refused with the field at fault, and nothing is accepted:', () => {
  test('a table of bad inputs', async () => {
    const api = await ApiUnderTest.start(pipeline);
    const json = { 'content-type': 'application/json' };
    for (const [body, field] of [
      [{}, 'to'],
      [{ ...SMS, to: 'x' }, 'to'],
      [{ ...SMS, to: '+49151' }, 'to'],
      [{ ...SMS, to: 4915112345678 }, 'to'],
      [{ ...SMS, text: '' }, 'text'],
      [{ ...SMS, text: 'x'.repeat(1_601) }, 'text'],
      [{ ...SMS, text: '\ud800' }, 'text'],
      [{ ...SMS, from: 'x'.repeat(257) }, 'from'],
      [{ ...SMS, id: 'a b' }, 'id'],
      [{ ...SMS, id: '' }, 'id'],
      [{ ...SMS, sendAt: 'tomorrow' }, 'sendAt'],
      [{ ...SMS, sendAt: '2026-12-01T09:00:00' }, 'sendAt'],
      [{ ...SMS, priority: 'urgent' }, 'priority'],
      [{ ...SMS, validFor: '1s' }, 'validFor'],
      [{ ...SMS, sendat: '1h' }, 'body'],
      [[SMS], 'body'],
    ] as const) {
      const { status, body: problem } = await api.post('/messages', body);
      expect([status, problem.errors?.[0]?.field], JSON.stringify(body).slice(0, 80)).toEqual([400, field]);
    }
    for (const [body, headers, status] of [
      ['{', json, 400],
      ['', json, 400],
      ['{"__proto__":{}}', json, 400],
      ['x=1', { 'content-type': 'application/x-www-form-urlencoded' }, 415],
      [JSON.stringify({ ...SMS, text: 'x'.repeat(2 ** 20) }), json, 413],
    ] as const) {
      const answer = await api.ask('POST', '/messages', body, headers);
      expect([body.slice(0, 20), answer.status, answer.body.status]).toEqual([
        body.slice(0, 20),
        status,
        status,
      ]);
      expect(answer.headers.get('content-type')).toContain('application/problem+json');
    }
    expect(await api.get('/nothing')).toMatchObject({
      status: 404,
      body: { type: 'urn:redial:no-such-route' },
    });
    expect((await api.get('/stats')).body).toMatchObject({ accepted: 0 });
  });
});

test('with a token, nobody without it is let in, and only where others are kept out it may be missing', async () => {
  const api = await ApiUnderTest.start(pipeline, { API_TOKEN: 'a-secret-of-sixteen' });
  const stranger = await fetch(`${api.url}/stats`);
  expect([stranger.status, stranger.headers.get('www-authenticate')]).toEqual([401, 'Bearer']);
  expect((await api.get('/stats')).status).toBe(200);
  for (const path of ['/healthz', '/docs/', '/openapi.json'])
    expect((await fetch(`${api.url}${path}`)).status).toBe(200);
  for (const path of ['/docs/../stats', '/docs%2f..%2fstats', '//stats', '/messages/x'])
    expect([path, (await fetch(`${api.url}${path}`)).status]).not.toEqual([path, 200]);
  const open = await pipeline.start('producer', ['serve', '--host', '0.0.0.0']).ended;
  expect(open).toMatchObject({ exitCode: 78, stderr: expect.stringContaining('set API_TOKEN') });
});

test('the documentation describes every route, and the process ends cleanly', async () => {
  const api = await ApiUnderTest.start(pipeline);
  const { body: document } = await api.get('/openapi.json');
  expect(Object.keys(document.paths).sort()).toEqual([
    ...[
      '/health',
      '/healthz',
      '/messages',
      '/messages/bulk',
      '/messages/failed',
      '/messages/success',
      '/messages/{id}',
    ],
    ...['/messages/{id}/retry-now', '/metrics', '/readyz', '/stats'],
  ]);
  expect((await api.get('/docs/')).body).toContain('swagger');
  expect(await api.get('/health')).toMatchObject({ status: 200, body: { state: 'ok' } });
  expect(await api.process.stop('SIGTERM')).toMatchObject({ exitCode: 0 });
});
