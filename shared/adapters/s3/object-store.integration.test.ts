import { copyFileSync, readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { afterEach, beforeEach, expect, inject, test, vi } from 'vitest';
import { startMonotonousServer } from '../../../tests/kit/rabbitmq/tcp-proxy.ts';
import { S3ObjectStore, type S3Options } from './object-store.ts';

const servers = inject('servers');
const credentials = { accessKeyId: servers.s3AccessKeyId, secretAccessKey: servers.s3SecretAccessKey };

const stores: S3ObjectStore[] = [];
let bucketCount = 0;
let noise: string[] = [];

beforeEach(() => {
  noise = [];
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => noise.push(String(text)) > 0);
  for (const level of ['log', 'warn', 'error'] as const)
    vi.spyOn(console, level).mockImplementation((...said) => void noise.push(said.join(' ')));
  vi.spyOn(process, 'emitWarning').mockImplementation((warning) => void noise.push(String(warning)));
});
afterEach(() => {
  for (const store of stores.splice(0)) store.close();
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
  // The SDK's look-up of credentials warns of its own timeout, whatever its logger is.
  expect(noise.filter((said) => !said.includes('exceeded the configured'))).toEqual([]);
});

function newBucket(): string {
  bucketCount += 1;
  return `objects-${process.pid}-${Date.now().toString(36)}-${bucketCount}`;
}

function storeWith(options: Partial<S3Options> = {}): S3ObjectStore {
  const store = new S3ObjectStore({
    bucket: newBucket(),
    region: 'us-east-1',
    endpoint: servers.s3Endpoint,
    credentials,
    ...options,
  });
  stores.push(store);
  return store;
}

async function keysOf(store: S3ObjectStore, prefix: string, after?: string): Promise<string[]> {
  const keys: string[] = [];
  for await (const key of store.list(prefix, after)) keys.push(key);
  return keys;
}

test('an object is read as it was put, and a second put replaces it', async () => {
  const store = storeWith();
  const bytes = Buffer.from([0, 1, 2, 253, 254, 255, ...Buffer.from('€\n')]);
  await store.put('success/a b+ü.ndjson', bytes);
  expect(await store.get('success/a b+ü.ndjson')).toEqual(bytes);
  await store.put('success/a b+ü.ndjson', Buffer.from('shorter'));
  expect(await store.get('success/a b+ü.ndjson')).toEqual(Buffer.from('shorter'));
  await store.put('success/empty.ndjson', Buffer.alloc(0));
  expect(await store.get('success/empty.ndjson')).toEqual(Buffer.alloc(0));
});

test('an object that is not there is undefined', async () => {
  const store = storeWith();
  await store.ensureBucket();
  expect(await store.get('success/none.ndjson')).toBeUndefined();
});

test('all keys of a prefix are listed in order, also more than the 1,000 of one page', async () => {
  const bucket = newBucket();
  const store = storeWith({ bucket });
  await store.put('failed/other.ndjson', Buffer.from('x'));
  await store.put('success/00000.ndjson', Buffer.from('x'));
  const keys = Array.from(
    { length: 1_001 },
    (_, index) => `success/${String(index).padStart(5, '0')}.ndjson`,
  );
  // A thousand puts take the embedded server many seconds: what it keeps of one is copied where it keeps it.
  const folder = join(servers.folder, 's3', bucket, 'success');
  for (const file of readdirSync(folder))
    for (const key of keys.slice(1))
      copyFileSync(join(folder, file), join(folder, file.replace('00000.ndjson', basename(key))));
  expect(await keysOf(store, 'success/')).toEqual(keys);
  expect(await keysOf(store, 'success/', keys[998])).toEqual(keys.slice(999));
  expect(await keysOf(store, 'parked/')).toEqual([]);
});

test('a missing bucket is made by the first put, or before', async () => {
  const store = storeWith();
  const puts = ['one', 'two', 'three'].map((name) => store.put(name, Buffer.from('x')));
  await Promise.all(puts);
  expect(await keysOf(store, '')).toEqual(['one', 'three', 'two']);
  const other = storeWith();
  await other.ensureBucket();
  await other.ensureBucket();
  expect(await keysOf(other, '')).toEqual([]);
});

test('reading from a missing bucket is an error, not "nothing there"', async () => {
  const store = storeWith();
  await expect(keysOf(store, '')).rejects.toMatchObject({ code: 'NO_BUCKET' });
  await expect(store.get('any')).rejects.toMatchObject({ code: 'NO_BUCKET' });
});

test('wrong credentials are a refusal that says where', async () => {
  const store = storeWith({ credentials: { accessKeyId: 'NOBODY', secretAccessKey: 'top-secret' } });
  const calls = [
    () => store.put('a', Buffer.from('x')),
    () => store.get('a'),
    () => keysOf(store, ''),
    () => store.ensureBucket(),
  ];
  for (const call of calls) {
    const error = await call().catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'SERVER_REFUSED', isRefusal: true });
    expect(String(error)).toContain(servers.s3Endpoint);
    expect(String(error)).not.toContain('top-secret');
  }
});

test.for([
  { name: 'says nothing', answer: '' },
  { name: 'stops in the middle of an answer', answer: 'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nabc' },
])('a server that $name is given up', async ({ answer }) => {
  const server = await startMonotonousServer(answer);
  const store = storeWith({ endpoint: `http://127.0.0.1:${server.port}`, requestTimeoutMs: 300 });
  for (const call of [
    () => store.get('a'),
    () => keysOf(store, ''),
    () => store.put('a', Buffer.from('x')),
  ]) {
    const startedAt = performance.now();
    await expect(call()).rejects.toMatchObject({ code: 'SERVER_UNREACHABLE', isRefusal: false });
    expect(performance.now() - startedAt).toBeLessThan(10_000);
  }
  await server.close();
});

test('a server that is not there, or speaks another language, is an error of the server', async () => {
  await expect(storeWith({ endpoint: 'http://127.0.0.1:1' }).get('a')).rejects.toMatchObject({
    code: 'SERVER_UNREACHABLE',
  });
  for (const status of ['500 Oops', '503 Slow Down', '429 Too Many', '404 Not Found', '200 OK']) {
    const server = await startMonotonousServer(
      `HTTP/1.1 ${status}\r\nContent-Length: 4\r\nConnection: close\r\n\r\n<ht>`,
    );
    const store = storeWith({ endpoint: `http://127.0.0.1:${server.port}`, requestTimeoutMs: 1_000 });
    await expect(keysOf(store, ''), status).rejects.toMatchObject({ code: 'SERVER_UNREACHABLE' });
    await server.close();
  }
});

test('without credentials it says so within seconds, also where those who could give some say nothing', async () => {
  for (const name of ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN', 'AWS_PROFILE'])
    vi.stubEnv(name, undefined);
  vi.stubEnv('AWS_SHARED_CREDENTIALS_FILE', '/nowhere/credentials');
  vi.stubEnv('AWS_CONFIG_FILE', '/nowhere/config');
  const silent = await startMonotonousServer();
  for (const address of [undefined, `http://127.0.0.1:${silent.port}/`]) {
    vi.stubEnv('AWS_EC2_METADATA_DISABLED', address === undefined ? 'true' : undefined);
    vi.stubEnv('AWS_CONTAINER_CREDENTIALS_FULL_URI', address);
    const startedAt = performance.now();
    await expect(storeWith({ credentials: undefined }).requireCredentials()).rejects.toMatchObject({
      code: 'CONFIGURATION',
    });
    expect(performance.now() - startedAt).toBeLessThan(20_000);
  }
  await silent.close();
  await storeWith().requireCredentials();
});
