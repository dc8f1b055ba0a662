import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { inspect } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, expect, inject, test, vi } from 'vitest';
import { type PrivateRedis, startPrivateRedis } from '../../../scripts/servers/private/private-redis.ts';
import { startMonotonousServer, TcpProxy } from '../../../tests/kit/rabbitmq/tcp-proxy.ts';
import { RecordedLog } from '../../../tests/kit/recorded-log.ts';
import { UncaughtErrors } from '../../../tests/kit/uncaught-errors.ts';
import { RedisConnection, type RedisConnectionOptions } from './connection.ts';
import { RedisCounterReader } from './counter-reader.ts';

const TIMEOUT_MS = 400;

let server: PrivateRedis;
let log: RecordedLog;
let uncaught: UncaughtErrors;
const opened: RedisConnection[] = [];
const proxies: TcpProxy[] = [];

beforeAll(async () => {
  server = await startPrivateRedis({
    folder: join(inject('servers').folder, 'redis-connection'),
    path: process.env.PATH ?? '',
  });
});
afterAll(() => server.stop({ signal: 'SIGKILL' }));
beforeEach(() => {
  log = new RecordedLog();
  uncaught = new UncaughtErrors();
});
afterEach(async () => {
  for (const connection of opened.splice(0)) connection.close();
  for (const proxy of proxies.splice(0)) await proxy.close();
  uncaught.stop();
  expect(uncaught.seen).toEqual([]);
});

function connectionTo(url: string, options: Partial<RedisConnectionOptions> = {}): RedisConnection {
  const connection = new RedisConnection({ url, log, ...options });
  opened.push(connection);
  return connection;
}

async function startProxy(): Promise<{ proxy: TcpProxy; url: string }> {
  const proxy = await new TcpProxy(server.port).open();
  proxies.push(proxy);
  return { proxy, url: `redis://127.0.0.1:${proxy.port}` };
}

function isUp(connection: RedisConnection): boolean {
  try {
    connection.session();
    return true;
  } catch {
    return false;
  }
}

async function setPassword(password: string): Promise<void> {
  const connection = connectionTo(server.url);
  await connection.open(60_000);
  await connection.session().redis.config('SET', 'requirepass', password);
  connection.close();
}

test('it comes back by itself after a restart, and tells that it is another process', async () => {
  const connection = connectionTo(server.url);
  await connection.open(60_000);
  const { generation } = connection.session();
  expect(generation).toMatch(/^[0-9a-f]{40}\/[0-9a-f]{40}$/);

  await server.stop({ signal: 'SIGKILL' });
  await vi.waitUntil(() => !isUp(connection), { timeout: 120_000 });
  expect(() => connection.session()).toThrow(expect.objectContaining({ code: 'SERVER_UNREACHABLE' }));
  await sleep(500);
  await server.start();
  await vi.waitUntil(() => isUp(connection), { timeout: 120_000 });
  expect(connection.session().generation).not.toBe(generation);
  expect(log.messages).toEqual(['Redis is away, trying again', 'Redis is back']);
});

test('a cut that hits the same process comes back with the same generation', async () => {
  const { proxy, url } = await startProxy();
  const connection = connectionTo(url);
  await connection.open(60_000);
  const { generation } = connection.session();
  proxy.cut();
  await vi.waitUntil(() => log.count('back') === 1, { timeout: 120_000 });
  expect(connection.session().generation).toBe(generation);
});

test('a command whose answer was lost is carried out once: it is never sent again after a reconnect', async () => {
  const { proxy, url } = await startProxy();
  const connection = connectionTo(url);
  await connection.open(60_000);
  const direct = connectionTo(server.url);
  await direct.open(60_000);
  const count = async (key: string) => Number(await direct.session().redis.get(key));

  proxy.holdAnswers();
  const { redis } = connection.session();
  const commands = [1, 2, 3].map(() => redis.incr('single'));
  const transaction = redis.multi().incr('double').incr('double').exec();
  const script = redis.eval("return redis.call('INCR', KEYS[1])", 1, 'script');
  const results = Promise.allSettled([...commands, transaction, script]);
  await vi.waitUntil(async () => (await count('script')) === 1, { timeout: 120_000 });
  proxy.cut();
  proxy.releaseAnswers();
  for (const result of await results) expect(result.status).toBe('rejected');
  await vi.waitUntil(() => isUp(connection), { timeout: 120_000 });
  await connection.session().redis.ping();
  await sleep(100);
  expect([await count('single'), await count('double'), await count('script')]).toEqual([3, 2, 1]);
});

test('a frozen Redis: calls are rejected within the timeout, and work again once it goes on', async () => {
  const connection = connectionTo(server.url, { commandTimeoutMs: TIMEOUT_MS });
  await connection.open(60_000);
  const { redis } = connection.session();
  const reader = new RedisCounterReader(connection, 'frozen');
  process.kill(server.pid ?? 0, 'SIGSTOP');
  try {
    const startedAt = performance.now();
    const calls = await Promise.allSettled([
      redis.get('any'),
      redis.multi().get('any').get('other').exec(),
      redis.eval('return 1', 0),
      reader.read(),
    ]);
    expect(performance.now() - startedAt).toBeLessThan(TIMEOUT_MS + 300);
    for (const call of calls) expect(call.status).toBe('rejected');
    expect(calls.at(-1)).toMatchObject({ reason: { code: 'SERVER_UNREACHABLE' } });
  } finally {
    process.kill(server.pid ?? 0, 'SIGCONT');
  }
  await vi.waitFor(() => reader.read(), { timeout: 120_000 });
});

test('a Redis that is not there is unreachable after the deadline, with the reason and what to do', async () => {
  const error = await connectionTo('redis://:top-secret@127.0.0.1:1')
    .open(500)
    .catch((reason: unknown) => reason);
  expect(error).toMatchObject({ code: 'SERVER_UNREACHABLE', isRefusal: false });
  expect(String(error)).toMatch(
    /127\.0\.0\.1:1 did not answer within 0\.5 s \(.*ECONNREFUSED.*\)\. Start it, or set REDIS_URL/,
  );
  expect(inspect([error, log.lines], { depth: 10 })).not.toContain('top-secret');
  expect(log.messages).toEqual(['Redis is away, trying again']);
});

test('a Redis that accepts and says nothing is unreachable after the deadline', async () => {
  const silent = await startMonotonousServer();
  const startedAt = performance.now();
  await expect(connectionTo(`redis://127.0.0.1:${silent.port}`).open(500)).rejects.toMatchObject({
    code: 'SERVER_UNREACHABLE',
  });
  expect(performance.now() - startedAt).toBeLessThan(5_000);
  await silent.close();
});

test('a server that is no Redis is told at once, and so is one that speaks TLS', async () => {
  for (const answer of ['HTTP/1.1 400 Bad Request\r\n\r\n', '\u0015\u0003\u0001\u0000\u0002\u0002\u0046']) {
    const { port, close } = await startMonotonousServer(answer);
    await expect(connectionTo(`redis://127.0.0.1:${port}`).open(20_000)).rejects.toMatchObject({
      code: 'SERVER_REFUSED',
      message: expect.stringContaining(`127.0.0.1:${port} is something else, or speaks TLS only`),
    });
    await close();
  }
});

test('a wrong or missing password is a refusal at once, not a wait, and is not printed', async () => {
  await setPassword('right');
  const url = (password: string) => `redis://${password}127.0.0.1:${server.port}`;
  try {
    for (const given of [url(':top-secret@'), url('')]) {
      const startedAt = performance.now();
      const error = await connectionTo(given)
        .open(20_000)
        .catch((reason: unknown) => reason);
      expect(performance.now() - startedAt).toBeLessThan(10_000);
      expect(error, given).toMatchObject({ code: 'SERVER_REFUSED', isRefusal: true });
      expect(inspect([error, log.lines], { depth: 10 })).not.toContain('top-secret');
    }
  } finally {
    const connection = connectionTo(url(':right@'));
    await connection.open(60_000);
    await connection.session().redis.config('SET', 'requirepass', '');
  }
});

test('a password that is not needed does no harm and is not talked about', async () => {
  const talk = vi.spyOn(console, 'warn').mockImplementation(() => {});
  const connection = connectionTo(`redis://:superfluous@127.0.0.1:${server.port}`);
  await connection.open(60_000);
  await connection.session().redis.ping();
  expect(talk).not.toHaveBeenCalled();
  talk.mockRestore();
});

test('close ends it for good, at any moment', async () => {
  const { proxy, url } = await startProxy();
  const never = connectionTo(url);
  never.close();
  const connecting = connectionTo(url);
  connecting.start();
  connecting.close();
  const open = connectionTo(url);
  await open.open(60_000);
  open.close();
  open.close();
  await vi.waitUntil(() => proxy.connectionCount === 0, { timeout: 3_000 });
  const waiting = connectionTo('redis://127.0.0.1:1');
  waiting.start();
  await vi.waitUntil(() => log.count('away') === 1, { timeout: 120_000 });
  waiting.close();
  await sleep(300);
  expect(proxy.connectionCount).toBe(0);
  expect([never, connecting, open, waiting].some(isUp)).toBe(false);
});

test('a Redis Cluster is refused with a sentence, in the log and to everybody who asks', async () => {
  const cluster = await startPrivateRedis({
    folder: join(inject('servers').folder, 'redis-cluster'),
    path: process.env.PATH ?? '',
    settings: ['--cluster-enabled', 'yes'],
  });
  try {
    const sentence = /Redis Cluster is not supported, use one Redis \(with replicas\)/;
    await expect(connectionTo(cluster.url).open(60_000)).rejects.toMatchObject({
      isRefusal: true,
      message: expect.stringMatching(sentence),
    });
    const told = () => log.messages.filter((each) => sentence.test(each)).length;
    // Whoever opens it is told by the error, and by the log only where that comes before the end.
    const toldBefore = told();
    const connection = connectionTo(cluster.url);
    connection.start();
    await vi.waitFor(() => expect(() => connection.session()).toThrow(sentence));
    const reader = new RedisCounterReader(connection, 'sms');
    await expect(reader.read()).rejects.toThrow(sentence);
    // Once, although it tries again.
    await vi.waitFor(() => expect(told()).toBe(toldBefore + 1), 60_000);
    expect(log.count('away')).toBe(0);
  } finally {
    await cluster.stop({ signal: 'SIGKILL' });
  }
});
