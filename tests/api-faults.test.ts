/** `producer serve` is killed, and its servers go away, while clients send. */
import { join } from 'node:path';
import { afterEach, expect, inject, test } from 'vitest';
import { type ApiAnswer, ApiUnderTest } from './kit/process/api-under-test.ts';
import { PipelineUnderTest } from './kit/process/pipeline-under-test.ts';
import { isThorough } from './kit/process/thorough.ts';
import { TcpProxy } from './kit/rabbitmq/tcp-proxy.ts';
import { startTestedRabbitMq } from './kit/rabbitmq/tested-rabbitmq.ts';
import { waitFor, waitUntil } from './kit/wait-for.ts';

const servers = inject('servers');
const SMS = { to: '+4915112345678', text: 'hello' };
const ROUNDS = isThorough ? 20 : 2;
const CLIENTS = 8;
const ACCEPTED_PER_ROUND = 150;
// Well below the 10 s for which a client waits for its confirm.
const AT_ONCE_MS = 8_000;
const ends: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const end of ends.splice(0)) await end();
});

function pipelineOf(name: string, settings: Record<string, string> = {}, on = servers): PipelineUnderTest {
  const pipeline = new PipelineUnderTest(on, name, {
    ...{ FAILURE_RATE: '0.2', MEAN_PROCESSING_TIME: '0.01', OUTCOME_BATCH_SECONDS: '0.2', ...settings },
  });
  ends.push(() => pipeline.end());
  return pipeline;
}

async function proxyOf(url: string): Promise<{ proxy: TcpProxy; proxied: string }> {
  const proxied = new URL(url);
  const proxy = await new TcpProxy(Number(proxied.port)).open();
  ends.push(() => proxy.close());
  proxied.port = String(proxy.port);
  return { proxy, proxied: proxied.toString() };
}

/** Clients that send one SMS after the other, and what they were told. */
class Clients {
  readonly acceptedIds: string[] = [];
  readonly refusals: {
    readonly type: string;
    readonly tookMs: number;
    readonly retryAfter: string | null;
  }[] = [];
  readonly #ended: Promise<unknown>;
  #isOver = false;

  /** @param api the one that takes SMS now */
  constructor(api: () => ApiUnderTest) {
    this.#ended = Promise.all(Array.from({ length: CLIENTS }, (_, client) => this.#send(api, client)));
  }

  async end(): Promise<void> {
    this.#isOver = true;
    await this.#ended;
  }

  async #send(api: () => ApiUnderTest, client: number): Promise<void> {
    for (let count = 0; !this.#isOver; count += 1) {
      const own = count % 5 === 0 ? { id: `client-${client}:${count}` } : {};
      const beganAt = performance.now();
      const answer = await api()
        .post('/messages', { ...SMS, ...own })
        .catch(() => undefined);
      if (answer !== undefined) this.#note(answer, performance.now() - beganAt);
      if (answer?.status !== 202) await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  #note({ status, body, headers }: ApiAnswer, tookMs: number): void {
    if (status === 202) this.acceptedIds.push(body.id);
    else this.refusals.push({ type: body.type, tookMs, retryAfter: headers.get('retry-after') });
  }
}

/** Each SMS that was accepted has one outcome; what a client was told nothing about may have one, too. */
async function expectOutcomes(pipeline: PipelineUnderTest, acceptedIds: readonly string[]): Promise<void> {
  expect(new Set(acceptedIds).size).toBe(acceptedIds.length);
  const missing = async () => {
    const stored = new Set((await pipeline.records()).map(({ smsId }) => smsId));
    return acceptedIds.filter((id) => !stored.has(id));
  };
  await waitUntil('every outcome', missing, ({ length }) => length === 0, 180_000, 500);
  await waitUntil(
    'the books',
    () => pipeline.snapshot(),
    ({ inProgress }) => inProgress === 0,
  );
  const stored = (await pipeline.records()).map(({ smsId }) => smsId);
  expect(new Set(stored).size).toBe(stored.length);
}

test('an API that is killed under load: every SMS that it told as accepted has its outcome, and no SMS has two', async () => {
  const pipeline = pipelineOf('api-killed');
  let [api] = await Promise.all([ApiUnderTest.start(pipeline), pipeline.startSender()]);
  const clients = new Clients(() => api);
  for (let round = 1; round <= ROUNDS; round += 1) {
    const enough = clients.acceptedIds.length + ACCEPTED_PER_ROUND;
    await waitFor('the clients to send', () => clients.acceptedIds.length >= enough);
    await api.process.stop('SIGKILL');
    api = await ApiUnderTest.start(pipeline);
  }
  await clients.end();
  await expectOutcomes(pipeline, clients.acceptedIds);
});

test('RabbitMQ away under load: refused at once, and nothing that was told as accepted is lost', async () => {
  const { proxy, proxied } = await proxyOf(servers.rabbitmqUrl);
  const pipeline = pipelineOf('api-cut');
  const [api] = await Promise.all([
    ApiUnderTest.start(pipeline, { RABBITMQ_URL: proxied }),
    pipeline.startSender(),
  ]);
  const clients = new Clients(() => api);
  for (let round = 1; round <= ROUNDS; round += 1) {
    const enough = clients.acceptedIds.length + ACCEPTED_PER_ROUND;
    await waitFor('the clients to send', () => clients.acceptedIds.length >= enough);
    const refused = clients.refusals.length;
    await proxy.close();
    await waitFor('refusals', () => clients.refusals.length >= refused + 3 * CLIENTS);
    expect(await api.get('/readyz')).toMatchObject({ status: 503, body: { state: 'away' } });
    expect(await api.get('/health')).toMatchObject({ status: 503, body: { state: 'not-accepting' } });
    expect(await api.get('/healthz')).toMatchObject({ status: 200 });
    await proxy.open();
    await waitFor('the API to be ready', async () => (await api.get('/readyz')).status === 200);
  }
  await clients.end();
  for (const { type, tookMs, retryAfter } of clients.refusals) {
    expect(type).toMatch(/^urn:redial:not-(accepting|confirmed)$/);
    expect(retryAfter).toBe('2');
    expect(tookMs).toBeLessThan(AT_ONCE_MS);
  }
  await expectOutcomes(pipeline, clients.acceptedIds);
});

// A RabbitMQ of its own takes as long to start as all that is above.
test.runIf(isThorough)(
  'RabbitMQ killed, alarmed and frozen under load: as above',
  async () => {
    const broker = await startTestedRabbitMq(join(servers.folder, 'api-killed'));
    const own = { ...servers, rabbitmqUrl: broker.amqpUrl, managementUrl: broker.managementUrl };
    const pipeline = pipelineOf('api-killed', {}, own);
    ends.push(() => broker.stop({ signal: 'SIGKILL' }));
    const [api] = await Promise.all([ApiUnderTest.start(pipeline), pipeline.startSender()]);
    const clients = new Clients(() => api);
    const freeze = (signal: NodeJS.Signals) => process.kill(broker.pid ?? 0, signal);
    const harms = [
      ...Array.from({ length: ROUNDS }, () => ({
        state: 'away',
        begin: () => broker.stop({ signal: 'SIGKILL' }),
        end: () => broker.start(),
      })),
      {
        state: 'alarm',
        begin: () => broker.rabbitmqctl('set_vm_memory_high_watermark', '0.00001'),
        end: () => broker.rabbitmqctl('set_vm_memory_high_watermark', '0.4'),
      },
      { state: 'away', begin: () => freeze('SIGSTOP'), end: () => freeze('SIGCONT') },
    ];
    for (const { state, begin, end } of harms) {
      const enough = clients.acceptedIds.length + ACCEPTED_PER_ROUND;
      await waitFor('the clients to send', () => clients.acceptedIds.length >= enough);
      await begin();
      const look = () => api.get('/readyz');
      expect(await waitUntil(`the API to be ${state}`, look, ({ status }) => status === 503)).toMatchObject({
        body: { state },
      });
      const beganAt = performance.now();
      expect(await api.post('/messages', SMS)).toMatchObject({ status: 503 });
      expect(performance.now() - beganAt).toBeLessThan(AT_ONCE_MS);
      await end();
      await waitUntil('the API to be ready', look, ({ status }) => status === 200);
    }
    await clients.end();
    for (const { type, retryAfter } of clients.refusals)
      expect([type, retryAfter]).toEqual([
        expect.stringMatching(/^urn:redial:not-(accepting|confirmed)$/),
        '2',
      ]);
    await expectOutcomes(pipeline, clients.acceptedIds);
  },
  1_800_000,
);

test('Redis away: SMS are accepted, but none with a key; S3 away: stories and lists say so', async () => {
  const [redis, s3] = [await proxyOf(servers.redisUrl), await proxyOf(servers.s3Endpoint)];
  const pipeline = pipelineOf('api-stores');
  const proxied = { REDIS_URL: redis.proxied, AWS_ENDPOINT_URL: s3.proxied.replace(/\/$/, '') };
  const [api] = await Promise.all([ApiUnderTest.start(pipeline, proxied), pipeline.startSender()]);
  const { id } = (await api.post('/messages', SMS)).body;
  await waitUntil(
    'its outcome',
    () => api.get(`/messages/${id}`),
    ({ body }) => body.record !== undefined,
  );
  const away = { status: 503, body: { type: 'urn:redial:server-away' } };
  await s3.proxy.close();
  for (const path of [`/messages/${id}`, '/messages/nobody', '/messages', '/messages/failed'])
    expect(await api.get(path), path).toMatchObject(away);
  expect(await api.get('/health')).toMatchObject({
    status: 200,
    body: { servers: { s3: { state: 'away' } } },
  });
  await redis.proxy.close();
  await waitFor('Redis to be away', async () => (await api.get(`/messages/${id}`)).status === 503);
  expect(await api.post('/messages', SMS)).toMatchObject({ status: 202 });
  expect(await api.post('/messages', { ...SMS, id: 'own', sendAt: '1s' })).toMatchObject({ status: 202 });
  expect(await api.post('/messages', SMS, { 'idempotency-key': 'k' })).toMatchObject(away);
  expect(await api.ask('DELETE', '/messages/own')).toMatchObject(away);
  const health = { state: 'degraded', servers: { redis: { state: 'away' }, rabbitmq: { state: 'ok' } } };
  expect(await api.get('/health')).toMatchObject({ status: 200, body: health });
  expect(await api.get('/stats')).toMatchObject({ status: 200, body: { state: 'stale' } });
  await Promise.all([redis.proxy.open(), s3.proxy.open()]);
  await waitUntil(
    'the story of the SMS that was accepted meanwhile',
    () => api.get('/messages/own'),
    ({ status, body }) => status === 200 && body.record !== undefined,
  );
  expect(await api.post('/messages', SMS, { 'idempotency-key': 'k' })).toMatchObject({ status: 202 });
});

test('SIGTERM: open requests get their true answer, a bulk ends with a line that says so, and the process ends', async () => {
  const pipeline = pipelineOf('api-term');
  const [api] = await Promise.all([ApiUnderTest.start(pipeline), pipeline.startSender()]);
  const clients = new Clients(() => api);
  const bulk = await fetch(`${api.url}/messages/bulk`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ count: 5_000_000, text: 'load' }),
  });
  const told: string[] = [];
  const reading = (async () => {
    let rest = '';
    for await (const chunk of bulk.body?.pipeThrough(new TextDecoderStream()) ?? []) {
      const lines = `${rest}${chunk}`.split('\n');
      rest = lines.pop() ?? '';
      told.push(...lines);
    }
  })();
  await waitFor('SMS of both', () => told.length > 500 && clients.acceptedIds.length > 20);
  const beganAt = performance.now();
  expect(await api.process.stop('SIGTERM')).toMatchObject({ exitCode: 0 });
  expect(performance.now() - beganAt).toBeLessThan(60_000);
  await reading;
  await clients.end();
  const answers = told.map((line) => JSON.parse(line));
  expect(answers.at(-1)).toMatchObject({ error: { type: 'urn:redial:not-accepting' } });
  const ids = answers.slice(0, -1).map(({ id }) => id);
  await expectOutcomes(pipeline, [...ids, ...clients.acceptedIds]);
  const { accepted, known } = await pipeline.snapshotOnce();
  expect(accepted - known).toBe(ids.length + clients.acceptedIds.length);
});
