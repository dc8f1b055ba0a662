/** How the client of each server refuses certificates, and what it says. Servers with TLS and with SMS are in tests/tls.test.ts. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { inspect } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, test, vi } from 'vitest';
import { startEmbeddedS3 } from '../../scripts/servers/private/embedded-s3.ts';
import { startPrivateRedis } from '../../scripts/servers/private/private-redis.ts';
import type { ServerCertificate } from '../../scripts/servers/private/rabbitmq-configuration.ts';
import { RecordedLog } from '../../tests/kit/recorded-log.ts';
import { makeCertificates, type ShownCertificates, TestAuthority } from '../../tests/kit/tls/certificates.ts';
import { TlsStandIn } from '../../tests/kit/tls/tls-stand-in.ts';
import { UncaughtErrors } from '../../tests/kit/uncaught-errors.ts';
import { RabbitMqConnection } from '../adapters/rabbitmq/connection.ts';
import { ManagementQueueReader } from '../adapters/rabbitmq/management-queues.ts';
import { RedisConnection } from '../adapters/redis/connection.ts';
import { S3ObjectStore } from '../adapters/s3/object-store.ts';
import { Trust } from './trust.ts';

const SECRET = 'top-secret';
const DEADLINE_MS = 20_000;
const folder = mkdtempSync(join(tmpdir(), 'redial-tls-refusal-'));
const plain = inject('servers');
const portOf = (url: string) => Number(new URL(url).port);

let authority: TestAuthority;
let certificates: ShownCertificates;
let trust: Trust;
let log: RecordedLog;
let uncaught: UncaughtErrors;
const opened: TlsStandIn[] = [];

beforeAll(async () => {
  authority = await TestAuthority.create(join(folder, 'authority'), 'Redial test authority');
  certificates = await makeCertificates(folder, authority);
  trust = trustIn(authority);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));
beforeEach(() => {
  log = new RecordedLog();
  uncaught = new UncaughtErrors();
});
afterEach(async () => {
  for (const standIn of opened.splice(0)) await standIn.close();
  vi.unstubAllEnvs();
  uncaught.stop();
  expect(uncaught.seen).toEqual([]);
});

function trustIn({ certificateFile }: ServerCertificate): Trust {
  return new Trust([readFileSync(certificateFile, 'utf8')]);
}

async function show(certificate: ServerCertificate, host?: string): Promise<TlsStandIn> {
  const standIn = await TlsStandIn.open(certificate, host);
  opened.push(standIn);
  return standIn;
}

interface Client {
  readonly server: string;
  readonly trustSetting: string;
  readonly urlSetting: string;
  readonly schemes: readonly [plain: string, encrypted: string];
  /** Port of a real server of the kind that speaks no TLS. */
  readonly plainPort: number;
  /** Asks once. @returns the error */
  ask(scheme: string, address: string, trusted?: Trust, deadlineMs?: number): Promise<unknown>;
}

const errorOf = (promise: Promise<unknown>) =>
  promise.then(
    () => undefined,
    (error: unknown) => error,
  );

const CLIENTS: readonly Client[] = [
  {
    ...{ server: 'RabbitMQ', trustSetting: 'RABBITMQ_CA_FILE', urlSetting: 'RABBITMQ_URL' },
    ...{ schemes: ['amqp', 'amqps'], plainPort: portOf(plain.rabbitmqUrl) },
    ask(scheme, address, trusted = trust, deadlineMs = DEADLINE_MS) {
      const urls = [`${scheme}://someone:${SECRET}@${address}`];
      return errorOf(new RabbitMqConnection({ urls, trust: trusted, name: 'tls', log }).open(deadlineMs));
    },
  },
  {
    ...{ server: 'Redis', trustSetting: 'REDIS_CA_FILE', urlSetting: 'REDIS_URL' },
    ...{ schemes: ['redis', 'rediss'], plainPort: portOf(plain.redisUrl) },
    ask(scheme, address, trusted = trust, deadlineMs = DEADLINE_MS) {
      const url = `${scheme}://:${SECRET}@${address}`;
      return errorOf(new RedisConnection({ url, trust: trusted, log }).open(deadlineMs));
    },
  },
  {
    ...{ server: 'S3', trustSetting: 'AWS_CA_BUNDLE', urlSetting: 'AWS_ENDPOINT_URL' },
    ...{ schemes: ['http', 'https'], plainPort: portOf(plain.s3Endpoint) },
    ask(scheme, address, trusted = trust) {
      const store = new S3ObjectStore({
        ...{ bucket: 'tls', region: 'us-east-1', endpoint: `${scheme}://${address}`, trust: trusted },
        ...{ credentials: { accessKeyId: 'someone', secretAccessKey: SECRET }, requestTimeoutMs: 2_000 },
      });
      return errorOf(store.get('any')).finally(() => store.close());
    },
  },
  {
    server: 'the management API',
    ...{ trustSetting: 'RABBITMQ_CA_FILE', urlSetting: 'RABBITMQ_MANAGEMENT_URL' },
    ...{ schemes: ['http', 'https'], plainPort: portOf(plain.managementUrl) },
    ask(scheme, address, trusted = trust) {
      const account = { user: 'someone', password: SECRET, vhost: '/', prefix: 'tls' };
      const options = { url: `${scheme}://${address}`, ...account, trust: trusted };
      return errorOf(new ManagementQueueReader(options).read());
    },
  },
];

describe.each(CLIENTS)(
  'the client of $server',
  ({ server, trustSetting, urlSetting, schemes, plainPort, ask }) => {
    const [plainScheme, scheme] = schemes;

    const refused: readonly [name: keyof ShownCertificates, says: RegExp][] = [
      [
        'ofAnotherAuthority',
        /of the authority "Another authority" that is not trusted: \w+ must name a file/,
      ],
      [
        'selfSigned',
        /a self-signed certificate that is not trusted: \w+ must name a file with this certificate/,
      ],
      ['expired', /a certificate that expired on \d{4}-\d\d-\d\d \(.*\): renew it on the server/],
      ['notYetValid', /a certificate that is valid from \d{4}-\d\d-\d\d on \(.*\): set the clock/],
      ['ofAnotherHost', /a certificate for mq\.internal, 10\.0\.0\.1, not for localhost: \w+ must name it/],
    ];

    test.each(refused)(
      'refuses a certificate at once with a sentence, and tells nothing first: %s',
      async (name, says) => {
        const standIn = await show(certificates[name]);
        const startedAt = performance.now();
        const error = await ask(scheme, `localhost:${standIn.port}`);
        expect(performance.now() - startedAt).toBeLessThan(10_000);
        expect(error).toMatchObject({ code: 'SERVER_REFUSED', isRefusal: true });
        expect(String(error)).toContain(`${server} at localhost:${standIn.port} shows `);
        expect(String(error)).toMatch(says);
        expect(String(error)).toMatch(
          new RegExp(`${trustSetting}|${urlSetting}|on the server|set the clock`),
        );
        expect(standIn.heard).toBe('');
        expect(inspect([error, log.lines], { depth: 10 })).not.toContain(SECRET);
      },
    );

    test('refuses it also where the environment of Node.js says that anything will do', async () => {
      vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', '0');
      const standIn = await show(certificates.ofAnotherAuthority);
      expect(String(await ask(scheme, `localhost:${standIn.port}`))).toContain('is not trusted');
      expect(standIn.heard).toBe('');
    });

    test('trusts an authority that is not named as little as the system does', async () => {
      const standIn = await show(certificates.good);
      const error = await ask(scheme, `localhost:${standIn.port}`, new Trust([]));
      expect(String(error)).toContain('of the authority "Redial test authority" that is not trusted');
    });

    test('says so where the server speaks no TLS', async () => {
      const error = await ask(scheme, `localhost:${plainPort}`);
      expect(error).toMatchObject({ code: 'SERVER_REFUSED' });
      expect(String(error)).toContain(
        `${server} at localhost:${plainPort} does not speak TLS: ${urlSetting} must name its port for TLS`,
      );
    });

    test('says so where the server speaks TLS, and the URL does not say it', async () => {
      const standIn = await show(certificates.good);
      const error = await ask(plainScheme, `localhost:${standIn.port}`);
      expect(error).toMatchObject({ code: 'SERVER_REFUSED' });
      expect(String(error)).toContain(
        `${server} at localhost:${standIn.port} speaks TLS: ${urlSetting} must begin with ${scheme}://`,
      );
    });

    test.each([
      ['a name', 'localhost', '127.0.0.1', 'localhost'],
      ['an address', '127.0.0.1', '127.0.0.1', undefined],
      ['an address of IPv6', '[::1]', '::1', undefined],
    ])('tells the server which name it wants, but only a name: %s', async (_, host, listensOn, name) => {
      const wish = { names: ['DNS:localhost', 'IP:127.0.0.1', 'IP:0:0:0:0:0:0:0:1'] };
      const standIn = await show(await authority.issue('addresses', wish), listensOn);
      const asked = ask(scheme, `${host}:${standIn.port}`, trust, 500);
      // It is let in: whatever comes next comes encrypted.
      await vi.waitUntil(() => standIn.heard !== '', { timeout: 10_000 });
      expect(standIn.askedFor[0]).toBe(name);
      await standIn.close();
      await asked;
    });
  },
);

test.each(['good', 'selfSigned'] as const)(
  'the certificate of the server itself may be named: %s',
  async (name) => {
    const standIn = await show(certificates[name]);
    const [rabbitMq] = CLIENTS;
    const asked = rabbitMq?.ask('amqps', `localhost:${standIn.port}`, trustIn(certificates[name]), 4_000);
    await vi.waitUntil(() => standIn.heard !== '', { timeout: 10_000 });
    await asked;
  },
);

test('an S3 with TLS takes objects of any size, also those that the SDK asks about before it sends them', async () => {
  const path = process.env.PATH ?? '';
  const s3 = await startEmbeddedS3({
    ...{ folder: join(folder, 's3'), logFolder: join(folder, 'logs'), path, certificate: certificates.good },
  });
  const credentials = { accessKeyId: s3.accessKeyId, secretAccessKey: s3.secretAccessKey };
  const store = new S3ObjectStore({
    ...{ bucket: 'sizes', region: 'us-east-1', endpoint: s3.endpoint, credentials, trust },
  });
  try {
    await store.ensureBucket();
    for (const bytes of [1, 3_000_000, 3_000_000]) {
      const startedAt = performance.now();
      await store.put('object', Buffer.alloc(bytes, 'x'));
      expect((await store.get('object'))?.length).toBe(bytes);
      expect(performance.now() - startedAt).toBeLessThan(5_000);
    }
  } finally {
    store.close();
    await s3.stop({ signal: 'SIGKILL' });
  }
});

test('a Redis that asks for certificates of its clients is told as that', async () => {
  const redis = await startPrivateRedis({
    ...{ folder: join(folder, 'mutual'), path: process.env.PATH ?? '', certificate: certificates.good },
    settings: ['--tls-ca-cert-file', authority.certificateFile],
  });
  try {
    const first = new RedisConnection({ url: redis.url, trust, log });
    await first.open(DEADLINE_MS);
    await first.session().redis.config('SET', 'tls-auth-clients', 'yes');
    first.close();
    const error = await errorOf(new RedisConnection({ url: redis.url, trust, log }).open(DEADLINE_MS));
    expect(error).toMatchObject({ code: 'SERVER_REFUSED' });
    expect(String(error)).toContain('asks for a certificate of its clients, and Redial has none');
  } finally {
    await redis.stop({ signal: 'SIGKILL' });
  }
});

test('a Redis that is not trusted may be left at any moment: of a handshake, and of the look at its certificate', async () => {
  const redis = await startPrivateRedis({
    ...{
      folder: join(folder, 'redis'),
      path: process.env.PATH ?? '',
      certificate: certificates.ofAnotherHost,
    },
  });
  try {
    // Each was seen to end the process itself, about once in four.
    for (let round = 0; round < 40; round += 1) {
      const connection = new RedisConnection({ url: redis.url, trust, log });
      connection.start();
      await sleep(Math.random() * 60);
      connection.close();
    }
    await sleep(300);
  } finally {
    await redis.stop({ signal: 'SIGKILL' });
  }
});
