import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, inject, test, vi } from 'vitest';
import { PipelineOnRabbitMq } from '../../../tests/kit/rabbitmq/pipeline-on-rabbitmq.ts';
import { startMonotonousServer, TcpProxy } from '../../../tests/kit/rabbitmq/tcp-proxy.ts';
import { UncaughtErrors } from '../../../tests/kit/uncaught-errors.ts';
import { RabbitMqConnection } from './connection.ts';

const servers = inject('servers');
const nothingListens = 'amqp://guest:guest@127.0.0.1:1';

let pipeline: PipelineOnRabbitMq;
let uncaught: UncaughtErrors;
beforeEach(async () => {
  uncaught = new UncaughtErrors();
  pipeline = await PipelineOnRabbitMq.start(servers);
});
afterEach(async () => {
  expect(await pipeline.stop()).toBe(0);
  uncaught.stop();
  expect(uncaught.seen).toEqual([]);
});

function urlWith(parts: { user?: string; password?: string; port?: number; path?: string }): string {
  const { user = 'guest', password = 'guest', port = pipeline.proxy.port, path = '' } = parts;
  return `amqp://${encodeURIComponent(user)}:${encodeURIComponent(password)}@127.0.0.1:${port}${path}`;
}

async function secondsUntilSettled(promise: Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await promise.catch(() => {});
  return (performance.now() - startedAt) / 1_000;
}

test('of several servers one that answers is used', async () => {
  const connection = await pipeline.connect([], [nothingListens, pipeline.url]);
  expect(connection.isUp).toBe(true);
  expect(pipeline.proxy.connectionCount).toBe(1);
});

test('when the server in use goes, the next one is tried', async () => {
  const other = await new TcpProxy(Number(new URL(servers.rabbitmqUrl).port)).open();
  const connection = await pipeline.connect([], [pipeline.url, urlWith({ port: other.port })]);
  const proxies = [pipeline.proxy, other];
  const [used, next] = pipeline.proxy.connectionCount === 1 ? proxies : proxies.reverse();
  expect([used?.connectionCount, next?.connectionCount]).toEqual([1, 0]);
  await used?.close();
  await vi.waitUntil(() => connection.isUp && next?.connectionCount === 1, { timeout: 120_000 });
  await connection.close();
  await other.close();
});

test('connections spread over several servers', async () => {
  const other = await new TcpProxy(Number(new URL(servers.rabbitmqUrl).port)).open();
  const urls = [pipeline.url, urlWith({ port: other.port })];
  // All of 20 on one of them is as likely as one in half a million.
  await Promise.all(Array.from({ length: 20 }, () => pipeline.connect([], urls)));
  expect(pipeline.proxy.connectionCount).toBeGreaterThan(0);
  expect(other.connectionCount).toBeGreaterThan(0);
  await other.close();
});

test.for([
  {
    name: 'a wrong password',
    parts: { password: 'top-secret' },
    says: /access refused.*RABBITMQ_PASSWORD/,
  },
  {
    name: 'an unknown user',
    parts: { user: 'nobody', password: 'top-secret' },
    says: /access refused/,
  },
  {
    name: 'a missing virtual host',
    parts: { path: '/nowhere' },
    says: /virtual host does not exist.*RABBITMQ_VHOST/,
  },
])('$name is a refusal at once, not a wait', async ({ parts, says }) => {
  const connection = pipeline.describe([], [urlWith(parts)]);
  const opened = connection.open(20_000);
  expect(await secondsUntilSettled(opened)).toBeLessThan(15);
  const error = await opened.catch((reason: unknown) => reason);
  expect(error).toMatchObject({ code: 'SERVER_REFUSED', isRefusal: true });
  expect(String(error)).toMatch(says);
  expect(String(error)).toContain(`127.0.0.1:${pipeline.proxy.port}`);
  expect(JSON.stringify([String(error), pipeline.log.lines])).not.toContain('top-secret');
  expect(connection.isUp).toBe(false);
  expect(pipeline.log.count('trying again')).toBe(0);
});

test('a queue that exists with other arguments is a refusal that names it', async () => {
  await pipeline.api.call('PUT', `queues/%2F/${pipeline.queue('work')}`, {
    durable: true,
    arguments: { 'x-queue-type': 'quorum', 'x-delivery-limit': 3 },
  });
  const error = await pipeline
    .describe([])
    .open(20_000)
    .catch((reason: unknown) => reason);
  expect(error).toMatchObject({ code: 'SERVER_REFUSED' });
  expect(String(error)).toContain('other arguments');
  expect(String(error)).toContain(pipeline.queue('work'));
});

test('a password may have any characters', async () => {
  const password = 'pä%ss:w@rd/€+ &?#';
  const user = `${pipeline.prefix}-ü`;
  await pipeline.api.call('PUT', `users/${encodeURIComponent(user)}`, { password, tags: '' });
  const allowed = { configure: '.*', write: '.*', read: '.*' };
  await pipeline.api.call('PUT', `permissions/%2F/${encodeURIComponent(user)}`, allowed);
  const connection = await pipeline.connect([], [urlWith({ user, password })]);
  expect(connection.isUp).toBe(true);
  await connection.close();
  await pipeline.api.call('DELETE', `users/${encodeURIComponent(user)}`);
});

test('a URL without a user means guest', async () => {
  const connection = await pipeline.connect([], [`amqp://127.0.0.1:${pipeline.proxy.port}`]);
  expect(connection.isUp).toBe(true);
});

test('where nothing listens the deadline decides, and the sentence says where and what to do', async () => {
  const opened = pipeline.describe([], [nothingListens]).open(700);
  expect(await secondsUntilSettled(opened)).toBeCloseTo(0.7, 0);
  const error = await opened.catch((reason: unknown) => reason);
  expect(error).toMatchObject({ code: 'SERVER_UNREACHABLE', isRefusal: false });
  expect(String(error)).toMatch(
    /127\.0\.0\.1:1 did not answer within 0\.7 s \(.*ECONNREFUSED.*\)\. Start it, or set RABBITMQ_URL/,
  );
  expect(pipeline.log.count('trying again')).toBe(1);
});

test('a server that accepts and says nothing is given up after the deadline', async () => {
  const silent = await startMonotonousServer();
  const connection = pipeline.describe([], [urlWith({ port: silent.port })]);
  expect(await secondsUntilSettled(connection.open(300))).toBeLessThan(5);
  expect(await secondsUntilSettled(connection.close())).toBeLessThan(5);
  await silent.close();
});

test('an answer that comes after the deadline leaves no connection behind', async () => {
  const { proxy } = pipeline;
  proxy.holdAnswers();
  const connection = pipeline.describe([pipeline.consumer('work')]);
  await expect(connection.open(300)).rejects.toMatchObject({ code: 'SERVER_UNREACHABLE' });
  proxy.releaseAnswers();
  await vi.waitUntil(() => proxy.connectionCount === 0, { timeout: 120_000 });
  expect(connection.isUp).toBe(false);
});

test('close during the handshake ends the wait of open and leaves no connection behind', async () => {
  const { proxy } = pipeline;
  proxy.holdAnswers();
  const connection = pipeline.describe([]);
  const opened = connection.open(20_000);
  opened.catch(() => {});
  await vi.waitUntil(() => proxy.connectionCount === 1, { timeout: 120_000 });
  const closed = connection.close();
  proxy.releaseAnswers();
  expect(await secondsUntilSettled(closed)).toBeLessThan(8);
  await expect(opened).rejects.toMatchObject({ code: 'SERVER_UNREACHABLE' });
  await vi.waitUntil(() => proxy.connectionCount === 0, { timeout: 120_000 });
});

test('close while roles are being attached leaves no connection behind', async () => {
  const { proxy } = pipeline;
  const connection = pipeline.describe([pipeline.consumer('work')]);
  let isAttaching = false;
  connection.add({
    attach: async (model) => {
      isAttaching = true;
      proxy.holdAnswers();
      await model.createChannel();
    },
    detach: () => {},
  });
  const opened = connection.open(20_000);
  opened.catch(() => {});
  await vi.waitUntil(() => isAttaching, { timeout: 120_000 });
  const closed = connection.close();
  proxy.releaseAnswers();
  expect(await secondsUntilSettled(closed)).toBeLessThan(8);
  await expect(opened).rejects.toMatchObject({ code: 'SERVER_UNREACHABLE' });
  await vi.waitUntil(() => proxy.connectionCount === 0, { timeout: 120_000 });
});

test('close while waiting to try again ends at once', async () => {
  const connection = pipeline.describe([], [nothingListens]);
  const opened = connection.open(20_000);
  await vi.waitUntil(() => pipeline.log.count('trying again') === 1, { timeout: 120_000 });
  await sleep(500);
  expect(await secondsUntilSettled(connection.close())).toBeLessThan(5);
  expect(await secondsUntilSettled(opened)).toBeLessThan(5);
});

test('close may be called twice, and before open', async () => {
  const connection = await pipeline.connect();
  await Promise.all([connection.close(), connection.close()]);
  await connection.close();
  const unopened = new RabbitMqConnection({
    urls: [pipeline.url],
    name: pipeline.connectionName,
    log: pipeline.log,
  });
  await unopened.close();
  expect(await secondsUntilSettled(unopened.open(20_000))).toBeLessThan(8);
  expect(unopened.isUp).toBe(false);
});

test('what waits for a reply ends with its connection, also where the server answers nothing any more', async () => {
  const { proxy } = pipeline;
  const consumer = pipeline.consumer('work');
  const connection = await pipeline.connect([consumer]);
  consumer.start(() => {});
  await sleep(100);
  proxy.holdAnswers();
  const cancelled = consumer.cancel();
  expect(await secondsUntilSettled(connection.close())).toBeLessThan(8);
  expect(await secondsUntilSettled(cancelled)).toBeLessThan(8);
});

test('a connection that goes and comes back is told once each, however many tries it takes', async () => {
  const { proxy } = pipeline;
  const connection = await pipeline.connect([]);
  await proxy.close();
  await vi.waitUntil(() => !connection.isUp, { timeout: 120_000 });
  await sleep(1_000);
  await proxy.open();
  await vi.waitUntil(() => connection.isUp, { timeout: 120_000 });
  expect(pipeline.log.messages).toEqual([
    'connected to RabbitMQ',
    'RabbitMQ is away, trying again',
    'RabbitMQ is back',
  ]);
  await connection.close();
  expect(pipeline.log.lines.length).toBe(3);
});
