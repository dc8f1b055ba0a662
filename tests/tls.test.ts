/** All three servers speak TLS and nothing else, with certificates made here. How each client refuses one: shared/tls. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { RabbitMqConnection } from '../shared/adapters/rabbitmq/connection.ts';
import { makeCheckout } from './kit/process/checkout.ts';
import { PipelineUnderTest } from './kit/process/pipeline-under-test.ts';
import type { CommandName } from './kit/process/running-process.ts';
import { chosen, isThorough } from './kit/process/thorough.ts';
import { RecordedLog } from './kit/recorded-log.ts';
import type { ShownCertificates } from './kit/tls/certificates.ts';
import { TlsServers } from './kit/tls/tls-servers.ts';
import { TlsStandIn } from './kit/tls/tls-stand-in.ts';

const folder = mkdtempSync(join(tmpdir(), 'redial-tls-'));
let servers: TlsServers;
let pipeline: PipelineUnderTest;
let trusted: Record<string, string>;

beforeAll(async () => {
  servers = await TlsServers.start(folder);
  trusted = servers.trustSettings;
});
afterAll(async () => {
  await servers?.stop();
  rmSync(folder, { recursive: true, force: true });
});
afterEach(() => pipeline?.end());

const thorough = test.runIf(isThorough);

function pipelineOn(name: string, settings: Record<string, string> = {}): PipelineUnderTest {
  pipeline = new PipelineUnderTest(
    servers.addresses,
    `tls-${name}`,
    { ...trusted, ...settings },
    { trust: servers.trust },
  );
  return pipeline;
}

async function expectBalance(smsCount: number): Promise<void> {
  await pipeline.waitUntilDone(smsCount);
  const { exitCode, report } = await pipeline.auditStill();
  expect(report).toMatchObject({
    ...{ accepted: smsCount, missing: 0, duplicateRecords: 0, countersAgree: true, balanced: true },
  });
  expect(exitCode).toBe(0);
}

test('SMS go all the way and the books balance where every server speaks TLS only', async () => {
  pipelineOn('all');
  await pipeline.startSender();
  expect(await pipeline.produce(200, 'encrypted')).toMatchObject({ accepted: 200 });
  await expectBalance(200);
  expect((await pipeline.snapshotOnce()).problems).toEqual([]);
});

describe('a server whose certificate is not trusted ends a command that needs it at once, with exit 69', () => {
  type Case = readonly [CommandName, args: readonly string[], setting: string, server: string];
  const always: readonly Case[] = [
    ['sender', [], 'RABBITMQ_CA_FILE', 'RabbitMQ'],
    ['monitor', ['--once'], 'REDIS_CA_FILE', 'Redis'],
    ['monitor', ['--audit'], 'AWS_CA_BUNDLE', 'S3'],
  ];
  const also: readonly Case[] = [
    ['producer', ['--num-messages', '1'], 'RABBITMQ_CA_FILE', 'RabbitMQ'],
    ['producer', ['serve', '--port', '1'], 'RABBITMQ_CA_FILE', 'RabbitMQ'],
    ['producer', ['cancel', 'any'], 'REDIS_CA_FILE', 'Redis'],
    ['monitor', ['--parked'], 'AWS_CA_BUNDLE', 'S3'],
  ];
  test.each(chosen(always, also))('%s %j without the right %s', async (command, args, setting, server) => {
    pipelineOn('refused', { [setting]: servers.certificates.ofAnotherAuthority.certificateFile });
    const startedAt = performance.now();
    const { exitCode, stdout, stderr } = await pipeline.start(command, args).ended;
    expect(exitCode).toBe(69);
    expect(performance.now() - startedAt).toBeLessThan(15_000);
    expect(`${stdout}${stderr}`).toMatch(
      new RegExp(
        `${server} at 127.0.0.1:\\d+ shows a certificate of the authority "Redial test authority" that is not trusted: ${setting} must name`,
      ),
    );
    expect(`${stdout}${stderr}`).not.toContain('    at ');
  });
});

thorough(
  'a sender goes on without Redis and S3 whose certificates it does not trust, and everybody says why',
  async () => {
    const { certificateFile } = servers.certificates.ofAnotherAuthority;
    pipelineOn('later', {
      ...{ REDIS_CA_FILE: certificateFile, AWS_CA_BUNDLE: certificateFile, SHUTDOWN_TIMEOUT: '2' },
    });
    const sender = await pipeline.startSender();
    expect(await pipeline.produce(20, 'waiting')).toMatchObject({ accepted: 20 });
    await sender.says('Redis at 127.0.0.1');
    expect(sender.hasEnded).toBe(false);
    const watching = pipeline.start('monitor', ['--plain', '--update-interval', '0.5']);
    await watching.says('of the authority \\"Redial test authority\\" that is not trusted');
    await sender.stop();
    await pipeline.startSender(trusted);
    const monitor = pipeline.start('monitor', ['--wait', '--run', 'waiting', '--json'], trusted);
    expect((await monitor.ended).exitCode).toBe(0);
  },
);

thorough('what NODE_EXTRA_CA_CERTS names stays trusted beside a file of ours', async () => {
  const { authority, certificates } = servers;
  pipelineOn('extra', { RABBITMQ_CA_FILE: certificates.ofAnotherAuthority.certificateFile });
  const settings = { NODE_EXTRA_CA_CERTS: authority.certificateFile };
  expect(await pipeline.produce(1, 'extra', settings)).toMatchObject({ accepted: 1 });
});

test('of a cluster whose nodes show different certificates, the ones that are good are used', async () => {
  const log = new RecordedLog();
  const bad = await TlsStandIn.open(servers.certificates.expired);
  const urls = [
    `amqps://guest:guest@localhost:${bad.port}`,
    servers.addresses.rabbitmqUrl,
    servers.addresses.rabbitmqUrl.replace('127.0.0.1', 'localhost'),
  ];
  const connections = Array.from(
    { length: 9 },
    () => new RabbitMqConnection({ urls, trust: servers.trust, name: 'tls', log }),
  );
  await Promise.all(connections.map((connection) => connection.open(20_000)));
  expect(connections.every(({ isUp }) => isUp)).toBe(true);
  await Promise.all(connections.map((connection) => connection.close()));
  const alone = new RabbitMqConnection({ urls: urls.slice(0, 1), trust: servers.trust, name: 'tls', log });
  await expect(alone.open(20_000)).rejects.toMatchObject({
    code: 'SERVER_REFUSED',
    message: expect.stringContaining('expired on'),
  });
  await bad.close();
});

thorough('a reset forgets a pipeline on servers with TLS, and says whom it does not trust', async () => {
  pipelineOn('reset');
  const checkout = makeCheckout('tls-reset');
  try {
    await pipeline.produce(5, 'forgotten');
    const reset = (settings: Record<string, string>) =>
      spawnSync(process.execPath, [join(checkout, 'dist', 'scripts', 'reset', 'reset.js'), '--yes'], {
        ...{ cwd: checkout, env: { ...pipeline.environment, ...settings }, encoding: 'utf8' },
      });
    const refused = reset({ RABBITMQ_CA_FILE: servers.certificates.expired.certificateFile });
    expect(refused.stderr).toContain('the management API at 127.0.0.1');
    expect(refused.stderr).toContain('that is not trusted: RABBITMQ_CA_FILE must name');
    expect(refused.status).toBe(69);
    const forgotten = reset({});
    expect(forgotten.stderr).toMatch(/queues and the exchanges .* of RabbitMQ at https:.*\d messages/);
    expect(forgotten.status).toBe(0);
  } finally {
    rmSync(checkout, { recursive: true, force: true });
  }
});

thorough.each<keyof ShownCertificates>(['expired', 'notYetValid', 'ofAnotherHost', 'selfSigned'])(
  'RabbitMQ, Redis and S3 themselves with a certificate that is no good: %s',
  async (name) => {
    await servers.show(servers.certificates[name]);
    try {
      pipelineOn('shown');
      const ends = await Promise.all([
        pipeline.start('producer', ['--num-messages', '1']).ended,
        pipeline.start('monitor', ['--once']).ended,
        pipeline.start('monitor', ['--audit']).ended,
      ]);
      const said = ends.map(({ stderr }) => stderr);
      expect(
        ends.map(({ exitCode }) => exitCode),
        said.join('\n'),
      ).toEqual([69, 69, 69]);
      for (const [index, server] of ['RabbitMQ', 'Redis', 'S3'].entries())
        expect(said[index]).toContain(`${server} at 127.0.0.1:${portOf(server)} shows a `);
    } finally {
      await servers.show(servers.certificates.good);
    }
  },
);

thorough(
  'a certificate of another authority that comes and goes while SMS are sent costs no SMS',
  async () => {
    pipelineOn('replaced', { LOG_LEVEL: 'info' });
    const sender = await pipeline.startSender();
    await pipeline.produce(300, 'before', { RETRY_SCHEDULE: '300ms,500ms,700ms' });
    await servers.show(servers.certificates.ofAnotherAuthority);
    await sender.says('TLS with RabbitMQ fails, trying again');
    await sender.says('TLS with Redis fails, trying again');
    expect(sender.hasEnded).toBe(false);
    await servers.show(servers.certificates.good);
    await sender.says('RabbitMQ is back');
    expect(await pipeline.produce(100, 'after')).toMatchObject({ accepted: 100 });
    await expectBalance(400);
    const { stdout, exitCode } = await sender.stop();
    expect(exitCode).toBe(0);
    // Each of its three connections tells it once, however often it tries.
    expect(stdout.split('TLS with RabbitMQ fails').length - 1).toBeLessThanOrEqual(3);
    expect(stdout.split('TLS with Redis fails').length - 1).toBe(1);
  },
);

thorough('npm start takes servers with TLS that the environment names', async () => {
  pipelineOn('start');
  const checkout = makeCheckout('tls-start');
  try {
    const run = pipeline.run(
      [join(checkout, 'dist/scripts/guided/guided-run.js'), '--num-messages', '50'],
      {},
      {
        folder: checkout,
      },
    );
    const { exitCode, stdout, stderr } = await run.ended;
    expect(stderr).toContain('as the environment says');
    expect(stdout).toContain('Books balance: accepted 50');
    expect(exitCode, stderr).toBe(0);
  } finally {
    rmSync(checkout, { recursive: true, force: true });
  }
});

function portOf(server: string): string {
  const { rabbitmqUrl, redisUrl, s3Endpoint } = servers.addresses;
  const url = { RabbitMQ: rabbitmqUrl, Redis: redisUrl }[server] ?? s3Endpoint;
  return new URL(url).port;
}
