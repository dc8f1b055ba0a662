import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseEnv } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { loadConfig, SETTINGS } from './config/config.ts';
import { rabbitmqUrlsOf } from './config/rabbitmq.ts';
import { redisUrlOf } from './config/redis.ts';
import { type Environment, findProjectFolder, readEnvironment, startTimeOf } from './environment.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'redial-environment-'));
  mkdirSync(join(folder, '.redial'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const writeEnvFile = (...lines: string[]) => writeFileSync(join(folder, '.env'), lines.join('\n'));
const writeServersFile = (owner: string, ...lines: string[]) =>
  writeFileSync(join(folder, '.redial', 'servers.env'), [`# owner ${owner}`, ...lines].join('\n'));
const thisProcess = `${process.pid} ${startTimeOf(process.pid)}`;
const configOf = (base: Environment) => loadConfig(readEnvironment(folder, base));

describe('the nearest layer wins', () => {
  test('flag, environment, servers.env, .env, default', () => {
    writeEnvFile('RANDOM_SEED=4', 'QUEUE_NAME=env-file', 'S3_BUCKET=env-file', 'KEEP_TIME=2d');
    writeServersFile(thisProcess, 'RANDOM_SEED=3', 'QUEUE_NAME=servers-file', 'S3_BUCKET=servers-file');
    const environment = readEnvironment(folder, { RANDOM_SEED: '2', QUEUE_NAME: 'environment' });
    expect(loadConfig(environment, { randomSeed: '1' })).toMatchObject({
      randomSeed: 1,
      queueName: 'environment',
      s3Bucket: 'servers-file',
      keepTime: 2 * 86_400_000,
      logLevel: 'info',
    });
  });

  test.each([
    ['a process that is gone', '999999999 1'],
    ['another process that got its number', `${process.pid} 1`],
    ['nobody', ''],
  ])('but servers.env of %s does not count', (_, owner) => {
    writeEnvFile('QUEUE_NAME=env-file');
    writeServersFile(owner, 'QUEUE_NAME=servers-file');
    expect(configOf({}).queueName).toBe('env-file');
  });

  test('with an empty value counting as none', () => {
    writeEnvFile('QUEUE_NAME=env-file');
    expect(configOf({ QUEUE_NAME: '' }).queueName).toBe('env-file');
  });

  test('but for an empty schedule, which is refused instead of replaced', () => {
    writeEnvFile('RETRY_SCHEDULE=5s');
    expect(() => configOf({ RETRY_SCHEDULE: '' })).toThrow(/RETRY_SCHEDULE: is empty/);
  });

  test('which is told as the exception it is, but not of a flag', () => {
    const exception = 'the only variable that does not count as not set when it is empty';
    expect(() => configOf({ RETRY_SCHEDULE: '' })).toThrow(exception);
    expect(() => loadConfig({}, { retrySchedule: '' })).toThrow(
      /^--retry-schedule: is empty \(write waits such as 5s,30s,2m\)$/,
    );
  });

  test.each(['.env', '.redial/servers.env'])('and a %s that cannot be read is passed over', (name) => {
    // Not even root reads a folder as a file.
    mkdirSync(join(folder, name));
    expect(configOf({ QUEUE_NAME: 'environment' })).toMatchObject({ queueName: 'environment' });
  });

  test('and nothing at all is needed', () => expect(readEnvironment(folder, {})).toEqual({}));
});

describe('a server told in parts and one told as URL', () => {
  test('the URL wins within a layer', () => {
    writeEnvFile('RABBITMQ_URL=amqp://url', 'RABBITMQ_HOST=part', 'REDIS_URL=redis://url', 'REDIS_HOST=part');
    expect([rabbitmqUrlsOf(configOf({})), redisUrlOf(configOf({}))]).toEqual([['amqp://url'], 'redis://url']);
  });

  test('a nearer URL wins over the parts of a farther layer', () => {
    writeEnvFile('RABBITMQ_HOST=part', 'RABBITMQ_PORT=1', 'REDIS_HOST=part');
    writeServersFile(thisProcess, 'RABBITMQ_URL=amqp://url', 'REDIS_URL=redis://url');
    expect([rabbitmqUrlsOf(configOf({})), redisUrlOf(configOf({}))]).toEqual([['amqp://url'], 'redis://url']);
  });

  test.each([
    { RABBITMQ_HOST: 'part', REDIS_HOST: 'part' },
    { RABBITMQ_PORT: '1', REDIS_PORT: '1' },
  ])('the nearer parts %o win over the URLs of a farther layer', (base) => {
    writeServersFile(thisProcess, 'RABBITMQ_URL=amqp://url', 'REDIS_URL=redis://url');
    expect([configOf(base).rabbitmqUrl, configOf(base).redisUrl]).toEqual([undefined, undefined]);
  });

  test('the nearer parts win over a farther URL that is in a file', () => {
    writeFileSync(join(folder, 'url'), 'amqp://url');
    writeEnvFile(`RABBITMQ_URL_FILE=${join(folder, 'url')}`);
    expect(configOf({ RABBITMQ_HOST: 'part' }).rabbitmqUrl).toBeUndefined();
  });

  test.each([{ RABBITMQ_URL: 'amqp://mine' }, { RABBITMQ_HOST: 'mine' }])(
    'with %o the management API of another RabbitMQ is not used',
    (base) => {
      writeServersFile(thisProcess, 'RABBITMQ_URL=amqp://url', 'RABBITMQ_MANAGEMENT_URL=http://url');
      expect(configOf(base).rabbitmqManagementUrl).toBeUndefined();
    },
  );
});

describe('certificates of a farther layer', () => {
  const farther = ['RABBITMQ_CA_FILE=mq.pem', 'REDIS_CA_FILE=redis.pem'];
  const certificatesFor = (base: Record<string, string>) => {
    const { RABBITMQ_CA_FILE, REDIS_CA_FILE } = readEnvironment(folder, base);
    return [RABBITMQ_CA_FILE, REDIS_CA_FILE];
  };

  test.each([
    {},
    { RABBITMQ_URL: 'amqps://mine', REDIS_URL: 'rediss://mine' },
    { RABBITMQ_URL: 'amqp://mine', RABBITMQ_MANAGEMENT_URL: 'https://mine', REDIS_URL: 'rediss://mine' },
    { RABBITMQ_URL_FILE: 'url', REDIS_URL_FILE: 'url' },
  ])('count beside the nearer addresses %o', (base) => {
    writeEnvFile(...farther);
    expect(certificatesFor(base)).toEqual(['mq.pem', 'redis.pem']);
  });

  test.each([
    { RABBITMQ_URL: 'amqp://mine', REDIS_URL: 'redis://mine' },
    { RABBITMQ_HOST: 'mine', REDIS_HOST: 'mine' },
  ])('are of other servers where the nearer addresses are %o', (base) => {
    writeEnvFile(...farther);
    expect(certificatesFor(base)).toEqual([undefined, undefined]);
  });

  test('are of other servers while npm start has its own', () => {
    writeEnvFile('RABBITMQ_URL=amqps://production', 'REDIS_URL=rediss://production', ...farther);
    writeServersFile(thisProcess, 'RABBITMQ_URL=amqp://private', 'REDIS_URL=redis://private');
    expect(certificatesFor({})).toEqual([undefined, undefined]);
  });
});

describe('a secret in a file', () => {
  beforeEach(() => {
    writeFileSync(join(folder, 'secret'), 'from the file\n');
    writeEnvFile('RABBITMQ_PASSWORD=guest');
  });

  test('wins over the secret of a farther layer', () => {
    const base = { RABBITMQ_PASSWORD_FILE: join(folder, 'secret') };
    expect(configOf(base).rabbitmqPassword).toBe('from the file');
  });

  test('also where the secret itself is set to nothing, as Compose does', () => {
    const base = { RABBITMQ_PASSWORD: '', RABBITMQ_PASSWORD_FILE: join(folder, 'secret') };
    expect(configOf(base).rabbitmqPassword).toBe('from the file');
  });

  test('loses against the secret of a nearer layer', () => {
    writeEnvFile(`RABBITMQ_PASSWORD_FILE=${join(folder, 'secret')}`);
    expect(configOf({ RABBITMQ_PASSWORD: 'mine' }).rabbitmqPassword).toBe('mine');
  });
});

describe('the .env of the repository', () => {
  const text = readFileSync(join(findProjectFolder(), '.env'), 'utf8');
  const settings = Object.values(SETTINGS);
  /** The development key of the embedded S3 server: not a default, but what a fresh clone works with. */
  const development = {
    AWS_ENDPOINT_URL: 'http://localhost:8333',
    AWS_ACCESS_KEY_ID: 'S3RVER',
    AWS_SECRET_ACCESS_KEY: 'S3RVER',
  };

  test('gives every setting its default, and nothing else', () => {
    const defaults = settings
      .filter((setting) => setting.default !== '')
      .map(({ name, default: value }) => [name, value]);
    expect(parseEnv(text)).toEqual({ ...Object.fromEntries(defaults), ...development });
  });

  test('names each setting once, after a comment, those without a default commented out', () => {
    const lines = text.split('\n');
    const named = lines.flatMap((line, index) => {
      const [, name] = /^(?:# )?([A-Z0-9_]+)=/.exec(line) ?? [];
      return name === undefined ? [] : [{ name, isOff: line.startsWith('#'), comment: lines[index - 1] }];
    });
    expect(named.map(({ name }) => name).sort()).toEqual(settings.map(({ name }) => name).sort());
    for (const { name, isOff, comment } of named) {
      const hasValue = name in development || settings.some((one) => one.name === name && one.default !== '');
      expect({ name, isOff, comment }).toEqual({
        name,
        isOff: !hasValue,
        comment: expect.stringMatching(/^# [^-]/),
      });
    }
  });
});
