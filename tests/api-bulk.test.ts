/** Many SMS in one request to `producer serve`, with real RabbitMQ and senders. */
import { request } from 'node:http';
import { afterEach, beforeEach, expect, inject, test } from 'vitest';
import { ApiUnderTest } from './kit/process/api-under-test.ts';
import { PipelineUnderTest } from './kit/process/pipeline-under-test.ts';

const servers = inject('servers');
const SMS = { to: '+4915112345678', text: 'hello' };
const NDJSON = { 'content-type': 'application/x-ndjson' };
let pipeline: PipelineUnderTest;

beforeEach(() => {
  pipeline = new PipelineUnderTest(servers, 'api-bulk', { FAILURE_RATE: '0', MEAN_PROCESSING_TIME: '0' });
});
afterEach(() => pipeline.end());

const linesOf = (text: string) =>
  text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));

test('NDJSON: each line has its answer in order, and what was told as accepted is sent, nothing else', async () => {
  const [api] = await Promise.all([ApiUnderTest.start(pipeline), pipeline.startSender()]);
  const bad = new Map([
    [3, '{'],
    [500, JSON.stringify({ ...SMS, to: 'x' })],
    [501, JSON.stringify({ ...SMS, text: 'x'.repeat(65 * 1024) })],
    [502, '"\u00e4"'],
  ]);
  const lines = Array.from({ length: 3_000 }, (_, index) => {
    const own = index % 100 === 7 ? { id: `own-${index}` } : {};
    return bad.get(index + 1) ?? JSON.stringify({ ...SMS, text: `${index}`, ...own });
  });
  const { status, body } = await api.ask('POST', '/messages/bulk', `\n${lines.join('\r\n')}`, NDJSON);
  expect(status).toBe(200);
  const answers = linesOf(body);
  expect(answers.map(({ item }) => item)).toEqual(lines.map((_, index) => index + 1));
  const refused = answers.filter(({ error }) => error !== undefined);
  expect(refused.map(({ item }) => item)).toEqual([...bad.keys()]);
  expect(refused[1]).toMatchObject({
    error: { type: 'urn:redial:invalid-request', errors: [{ field: 'to' }] },
  });
  await pipeline.waitUntilDone(lines.length - bad.size);
  const sent = (await pipeline.records()).map(({ smsId }) => smsId).sort();
  expect(sent).toEqual(answers.flatMap(({ id }) => id ?? []).sort());
  expect(sent.filter((id) => id.startsWith('own-'))).toHaveLength(30);
});

test('an array, and made up SMS', async () => {
  const api = await ApiUnderTest.start(pipeline);
  const array = await api.post('/messages/bulk', [SMS, { ...SMS, priority: 'x' }, SMS]);
  expect(linesOf(array.body).map(({ id, error }) => id ?? error.errors[0].field)).toEqual([
    ...[expect.stringMatching(/^api-/), 'priority', expect.stringMatching(/^api-/)],
  ]);
  const made = await api.post('/messages/bulk', { count: 1_200, text: 'load' });
  expect(linesOf(made.body)).toHaveLength(1_200);
  for (const body of [
    [],
    {},
    { count: 0, text: 'x' },
    { count: 3 },
    'x',
    Array.from({ length: 10_001 }, () => SMS),
  ]) {
    const { status, body: problem } = await api.post('/messages/bulk', body);
    expect([status, problem.type]).toEqual([400, 'urn:redial:invalid-request']);
  }
  expect((await pipeline.snapshot()).accepted).toBeLessThanOrEqual(1_202);
});

test('a client that waits for each answer gets it before it sends the next line', async () => {
  const api = await ApiUnderTest.start(pipeline);
  const ids: string[] = [];
  await new Promise<void>((resolve, reject) => {
    const sending = request(`${api.url}/messages/bulk`, { method: 'POST', headers: NDJSON }, (response) => {
      response.setEncoding('utf8').on('data', (text: string) => {
        ids.push(...linesOf(text).map(({ id }) => id));
        if (ids.length < 5) sending.write(`${JSON.stringify(SMS)}\n`);
        else sending.end();
      });
      response.on('end', resolve);
    });
    sending.on('error', reject);
    sending.write(`${JSON.stringify(SMS)}\n`);
  });
  expect(new Set(ids).size).toBe(5);
});
