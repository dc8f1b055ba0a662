import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { rootCertificates } from 'node:tls';
import { afterAll, describe, expect, test } from 'vitest';
import { ConfigurationError } from '../../errors.ts';
import { loadConfig } from './config.ts';

const folder = mkdtempSync(join(tmpdir(), 'redial-certificates-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function fileWith(name: string, text: string | Buffer): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

const [one = '', two = ''] = rootCertificates;
const good = fileWith('good.pem', one);
const broken = one.replace(/\n[A-Za-z0-9+/]{20}/, '\nAAAAAAAAAAAAAAAAAAAA');

function problemsOf(environment: Record<string, string>): readonly string[] {
  try {
    loadConfig(environment);
    return [];
  } catch (error) {
    if (error instanceof ConfigurationError) return error.problems;
    throw error;
  }
}

const encrypted = { RABBITMQ_URL: 'amqps://mq', REDIS_URL: 'rediss://store' };

describe.each(['RABBITMQ_CA_FILE', 'REDIS_CA_FILE', 'AWS_CA_BUNDLE'])('%s', (name) => {
  const folderPath = join(folder, 'folder.pem');
  mkdirSync(folderPath, { recursive: true });
  const notPem =
    'must name a file with certificates in PEM (-----BEGIN CERTIFICATE-----; "openssl x509 -inform der" converts)';

  test.each([
    ['that is missing', join(folder, 'missing.pem'), 'must name a file that can be read'],
    ['that is a folder', folderPath, 'must name a file that can be read'],
    ['that never ends', '/dev/zero', 'must name a file that can be read'],
    ['that is empty', fileWith('empty.pem', ''), notPem],
    ['in DER', fileWith('der.crt', Buffer.from(one.split('\n').slice(1, -1).join(''), 'base64')), notPem],
    [
      'with a private key',
      fileWith('key.pem', '-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n'),
      'must name a file with certificates, and not with a private key',
    ],
    [
      'with a certificate that is damaged',
      fileWith('broken.pem', `${one}\n${broken}`),
      'must hold certificates, but number 2 in it cannot be read',
    ],
  ])('refuses a file %s', (_, path, says) => {
    expect(problemsOf({ ...encrypted, [name]: path })).toEqual([`${name} ${says}, got "${path}"`]);
  });

  test.each([
    ['one certificate', one],
    ['several, with words between them', `# mine\n${one}\n# yours\n${two}\n`],
    ['lines as Windows ends them', `${one}\n`.replaceAll('\n', '\r\n')],
  ])('takes a file with %s', (what, text) => {
    expect(problemsOf({ ...encrypted, [name]: fileWith(`${what}.pem`, text) })).toEqual([]);
  });

  test('may be unset, or empty', () => {
    expect(problemsOf(encrypted)).toEqual([]);
    expect(problemsOf({ ...encrypted, [name]: '' })).toEqual([]);
  });
});

describe('certificates for a connection that is not encrypted', () => {
  const ofRabbitMq = 'RABBITMQ_CA_FILE is for encrypted connections, but';
  const ofRedis = 'REDIS_CA_FILE is for encrypted connections, but';
  const setRabbitMq = 'set RABBITMQ_URL=amqps://…, or unset it';

  test.each<[Record<string, string>, string | undefined]>([
    [
      {},
      `${ofRabbitMq} RABBITMQ_HOST and RABBITMQ_PORT mean a connection without encryption: ${setRabbitMq}`,
    ],
    [{ RABBITMQ_URL: 'amqp://mq' }, `${ofRabbitMq} RABBITMQ_URL begins with amqp://: ${setRabbitMq}`],
    [
      { RABBITMQ_URL: 'amqps://one,amqp://two' },
      `${ofRabbitMq} RABBITMQ_URL begins with amqp:// in one of its parts: ${setRabbitMq}`,
    ],
    [{ RABBITMQ_URL: 'amqps://one,AMQPS://two' }, undefined],
    [{ RABBITMQ_URL: 'amqp://tunnel', RABBITMQ_MANAGEMENT_URL: 'https://mq' }, undefined],
  ])('contradict RabbitMQ of %o', (environment, problem) => {
    expect(problemsOf({ ...environment, RABBITMQ_CA_FILE: good })).toEqual(
      problem === undefined ? [] : [problem],
    );
  });

  test.each<[Record<string, string>, string | undefined]>([
    [
      {},
      `${ofRedis} REDIS_HOST and REDIS_PORT mean a connection without encryption: set REDIS_URL=rediss://…, or unset it`,
    ],
    [
      { REDIS_URL: 'redis://store' },
      `${ofRedis} REDIS_URL begins with redis://: set REDIS_URL=rediss://…, or unset it`,
    ],
    [{ REDIS_URL: 'REDISS://store' }, undefined],
  ])('contradict Redis of %o', (environment, problem) => {
    expect(problemsOf({ ...environment, REDIS_CA_FILE: good })).toEqual(
      problem === undefined ? [] : [problem],
    );
  });

  test('do not contradict S3: AWS_CA_BUNDLE may be there for other programs', () => {
    expect(problemsOf({ AWS_ENDPOINT_URL: 'http://localhost:8333', AWS_CA_BUNDLE: good })).toEqual([]);
  });
});
