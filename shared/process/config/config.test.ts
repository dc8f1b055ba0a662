import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { ConfigurationError, UsageError } from '../../errors.ts';
import type { Environment } from '../environment.ts';
import { type Config, type FlagValues, loadConfig, SETTINGS } from './config.ts';
import { managementOf, rabbitmqUrlsOf } from './rabbitmq.ts';
import { redisUrlOf } from './redis.ts';
import { outcomePrefixesOf, s3OptionsOf } from './s3.ts';

const folder = mkdtempSync(join(tmpdir(), 'redial-config-'));
afterAll(() => rmSync(folder, { recursive: true }));

function refusal(environment: Environment, flags: FlagValues = {}): ConfigurationError | UsageError {
  try {
    loadConfig(environment, flags);
  } catch (error) {
    if (error instanceof ConfigurationError || error instanceof UsageError) return error;
    throw error;
  }
  throw new Error('the configuration was accepted');
}

function problemsOf(environment: Environment): readonly string[] {
  const error = refusal(environment);
  if (!(error instanceof ConfigurationError)) throw error;
  return error.problems;
}

describe('without an environment', () => {
  test('every setting has the default that INTERFACE.md promises', () => {
    expect(loadConfig({})).toEqual({
      rabbitmqHost: 'localhost',
      rabbitmqPort: 5672,
      rabbitmqUser: 'guest',
      rabbitmqPassword: 'guest',
      rabbitmqVhost: '/',
      redisHost: 'localhost',
      redisPort: 6379,
      queueName: 'sms',
      queueShards: 1,
      meanProcessingTime: 500,
      processingTimeDistribution: 'exponential',
      failureRate: 0.1,
      permanentFailureShare: 0,
      unknownShare: 0,
      retrySchedule: [5_000, 30_000, 120_000, 600_000],
      retryAnchor: 'failure',
      unknownResult: 'retry',
      senderConcurrency: 100,
      randomSeed: 1,
      apiHost: '127.0.0.1',
      apiPort: 8080,
      apiNumbers: 'possible',
      monitorUpdateInterval: 5_000,
      monitorHost: '127.0.0.1',
      s3Bucket: 'redial-outcomes',
      s3SuccessPrefix: 'success',
      s3FailedPrefix: 'failed',
      s3ParkedPrefix: 'parked',
      awsRegion: 'us-east-1',
      keepTime: 86_400_000,
      outcomeBatchSize: 5_000,
      outcomeBatchSeconds: 1_000,
      outcomeEvents: 'off',
      shutdownTimeout: 30_000,
      metricsHost: '127.0.0.1',
      logLevel: 'info',
    });
  });

  test('an empty value counts as none, but for an empty schedule', () => {
    const empty = Object.fromEntries(Object.values(SETTINGS).map(({ name }) => [name, '']));
    expect(problemsOf(empty)).toEqual([expect.stringMatching(/^RETRY_SCHEDULE: is empty \(/)]);
    expect(loadConfig({ ...empty, RETRY_SCHEDULE: undefined })).toEqual(loadConfig({}));
  });
});

describe('a value that cannot work is refused with a sentence', () => {
  const whole = 'must be a whole number';
  const bucket =
    'must be 3 to 63 lower-case letters, digits, dots and hyphens, beginning and ending with a letter or digit';
  const prefix = "must be 1 to 200 letters, digits or !_.*'()-/ without a slash at either end";
  const name =
    'must be 1 to 100 letters, digits, dots, underscores or hyphens, not beginning with "amq.", not ending with ".internal"';
  const host = 'must be a host name or an address, IPv6 in [brackets], without a port';
  const keepTime = 'must be a duration from 1s to a year (write 30s, 5m, 12h or 1d)';

  test.each([
    ...['many', '-1', '0', '1.5', '1e3', ' 7', '60001', '9007199254740993'].map((text) => [
      'SENDER_CONCURRENCY',
      text,
      `${whole} from 1 to 60000`,
    ]),
    ...['-1', '1.5', '1e3', '0x10', '9007199254740992'].map((text) => [
      'RANDOM_SEED',
      text,
      `${whole} of at least 0`,
    ]),
    ...['0', '65536', '-1', 'amqp'].map((text) => ['RABBITMQ_PORT', text, `${whole} from 1 to 65535`]),
    ['REDIS_PORT', '99999', `${whole} from 1 to 65535`],
    ...['0', '100001'].map((text) => ['OUTCOME_BATCH_SIZE', text, `${whole} from 1 to 100000`]),
    ...['1.1', '50%', '-0.1', 'half', '1e-1', 'NaN'].map((text) => [
      'FAILURE_RATE',
      text,
      'must be between 0 and 1',
    ]),
    ...['0', '-1', '200/s', '1e3', '1000001', 'Infinity', 'none'].map((text) => [
      'CARRIER_CAPACITY',
      text,
      'must be a number above 0, at most 1000000',
    ]),
    ['PERMANENT_FAILURE_SHARE', '2', 'must be between 0 and 1'],
    ...['-1', '121', '1e3', '1s', 'Infinity'].map((text) => [
      'MEAN_PROCESSING_TIME',
      text,
      'must be a number of seconds between 0 and 120',
    ]),
    ...['0', '-5', '86401', 'soon'].map((text) => [
      'SHUTDOWN_TIMEOUT',
      text,
      'must be a number of seconds above 0, at most 86400',
    ]),
    ['MONITOR_UPDATE_INTERVAL', '0', 'must be a number of seconds above 0, at most 86400'],
    ['OUTCOME_BATCH_SECONDS', '0', 'must be a number of seconds above 0, at most 3600'],
    ...['1', '0s', '999ms', '366d', '1w', '-1d'].map((text) => ['KEEP_TIME', text, keepTime]),
    ['PROCESSING_TIME_DISTRIBUTION', 'normal', 'must be exponential, lognormal or constant'],
    ['LOG_LEVEL', 'loud', 'must be trace, debug, info, warn, error, fatal or silent'],
    ['LOG_FORMAT', 'xml', 'must be json or pretty'],
    ...['Outcomes', 'ab', 'my_bucket', '-ab', 'a..b', '10.0.0.1', 'x'.repeat(64), 'a/b'].map((text) => [
      'S3_BUCKET',
      text,
      bucket,
    ]),
    ...['/success', 'success/', 'a b', 'x'.repeat(201)].map((text) => ['S3_SUCCESS_PREFIX', text, prefix]),
    ['S3_SUCCESS_PREFIX', 'a//b', 'must not have an empty part between two slashes'],
    ...['.', '..', '../../escape', 'a/../b', 'a/./b', 'a/..'].flatMap((text) =>
      ['S3_SUCCESS_PREFIX', 'S3_FAILED_PREFIX', 'S3_PARKED_PREFIX'].map((variable) => [
        variable,
        text,
        'must not have "." or ".." as a part between slashes',
      ]),
    ),
    ...['amq.sms', 'a/b', 'a b', 'x'.repeat(101), 'sms{1}', 'sms.internal', '.', '..'].map((text) => [
      'QUEUE_NAME',
      text,
      name,
    ]),
    ['AWS_REGION', 'eu west', 'must be a region such as us-east-1'],
    ...['localhost:5672', '::1', 'a b', 'user@host', 'host/vhost'].map((text) => [
      'RABBITMQ_HOST',
      text,
      host,
    ]),
    ['REDIS_HOST', 'localhost:6379', host],
    ['AWS_ENDPOINT_URL', 'localhost:8333', 'must begin with http:// or https://'],
    ['AWS_ENDPOINT_URL', 'http://localhost:65536', 'must be a URL such as http://host:port'],
  ] as [string, string, string][])('%s=%s', (variable, text, sentence) => {
    expect(problemsOf({ [variable]: text })).toEqual([`${variable} ${sentence}, got "${text}"`]);
  });

  test.each([
    ['RABBITMQ_URL', 'http://localhost', 'must begin with amqp:// or amqps://'],
    ['RABBITMQ_URL', 'localhost', 'must be a URL such as amqp://host:port'],
    ['RABBITMQ_URL', 'amqp://localhost:99999', 'must be a URL such as amqp://host:port'],
    ['RABBITMQ_URL', 'amqp://localhost:0', 'must be a URL such as amqp://host:port'],
    ['RABBITMQ_URL', 'amqp://one,', 'must be a URL such as amqp://host:port'],
    ['RABBITMQ_URL', 'amqp://u:50%@host', 'must have a % of its user, password or path written as %25'],
    ...[
      'amqp://u:p@ss@host',
      'amqp://u:p@ss/w@host',
      'amqp://u:1/ss@host',
      'amqp://u:p/s@host',
      'amqp://h/v@w',
    ].map((text) => [
      'RABBITMQ_URL',
      text,
      'must have an @ or / of its user or password written as %40 or %2F',
    ]),
    ['REDIS_URL', 'redis://:p@ss@host', 'must have an @ or / of its user or password written as %40 or %2F'],
    ['REDIS_URL', 'http://localhost', 'must begin with redis:// or rediss://'],
    ['REDIS_URL', 'redis://', 'must be a URL such as redis://host:port'],
    ['RABBITMQ_MANAGEMENT_URL', 'ftp://localhost', 'must begin with http:// or https://'],
  ])('%s=%s, without repeating what may hold a password', (variable, text, sentence) => {
    expect(problemsOf({ [variable]: text })).toEqual([`${variable} ${sentence}`]);
  });

  test.each([
    [
      '',
      'is empty (write waits such as 5s,30s,2m). It is the only variable that does not count as not set when it is empty: remove it to get the default',
    ],
    ['10s,,1m', 'has an empty wait between two commas (write 5s,30s,2m)'],
    ['5x', '"5x" is not a duration (write 500ms, 5s, 2m or 1h)'],
    ['0s', '"0s" is too short (at least 1ms)'],
    ['366d', '"366d" is too long (at most a year, 8760h)'],
    ['5s,5x,0ms', '"5x" is not a duration (write 500ms, 5s, 2m or 1h); "0ms" is too short (at least 1ms)'],
    [Array(51).fill('1s').join(), 'has 51 waits (at most 50)'],
  ])('RETRY_SCHEDULE=%s', (text, sentence) => {
    expect(problemsOf({ RETRY_SCHEDULE: text })).toEqual([`RETRY_SCHEDULE: ${sentence}`]);
  });

  const outside = 'must lie outside each other, got';
  const outsideRuns = 'must lie outside "runs", where Redial writes other things, got';
  test.each([
    [
      { S3_FAILED_PREFIX: 'success' },
      [`S3_SUCCESS_PREFIX and S3_FAILED_PREFIX ${outside} "success" and "success"`],
    ],
    [
      { S3_PARKED_PREFIX: 'success/parked' },
      [`S3_SUCCESS_PREFIX and S3_PARKED_PREFIX ${outside} "success" and "success/parked"`],
    ],
    [
      { S3_SUCCESS_PREFIX: 'a/b', S3_FAILED_PREFIX: 'a', S3_PARKED_PREFIX: 'a/c' },
      [
        `S3_SUCCESS_PREFIX and S3_FAILED_PREFIX ${outside} "a/b" and "a"`,
        `S3_FAILED_PREFIX and S3_PARKED_PREFIX ${outside} "a" and "a/c"`,
      ],
    ],
    [
      { S3_FAILED_PREFIX: 'known/a' },
      ['S3_FAILED_PREFIX must lie outside "known", where Redial writes other things, got "known/a"'],
    ],
    [{ S3_SUCCESS_PREFIX: 'runs' }, [`S3_SUCCESS_PREFIX ${outsideRuns} "runs"`]],
    [{ S3_PARKED_PREFIX: 'runs/parked' }, [`S3_PARKED_PREFIX ${outsideRuns} "runs/parked"`]],
  ])('prefixes in each other: %o', (environment, sentences) => {
    expect(problemsOf(environment)).toEqual(sentences);
  });

  test.each(['success-not', 'runs-failed', 'a/success', '...', 'v1.2/..failed'])(
    'a prefix may look like another or hold dots: %s',
    (prefix) => {
      expect(loadConfig({ S3_FAILED_PREFIX: prefix }).s3FailedPrefix).toBe(prefix);
    },
  );

  test.each([{ AWS_ACCESS_KEY_ID: 'id' }, { AWS_SECRET_ACCESS_KEY: 'hidden' }])(
    'half a key: %o',
    (environment) => {
      expect(problemsOf(environment)).toEqual([
        'AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY must be set together, got only one of them',
      ]);
    },
  );
});

test.each([
  ['FAILURE_RATE', 'failureRate'],
  ['MEAN_PROCESSING_TIME', 'meanProcessingTime'],
  ['RANDOM_SEED', 'randomSeed'],
] as const)('a %s of -0 is 0', (name, key) => {
  expect(loadConfig({ [name]: '-0' })[key]).toBe(0);
});

describe('all problems are told at once', () => {
  test('one line each', () => {
    const bad = {
      FAILURE_RATE: '110%',
      RETRY_SCHEDULE: '5x',
      S3_SUCCESS_PREFIX: '/a',
      S3_FAILED_PREFIX: '/b',
    };
    expect(refusal(bad).message).toBe(
      [
        'Invalid configuration:',
        '  - FAILURE_RATE must be between 0 and 1, got "110%"',
        '  - RETRY_SCHEDULE: "5x" is not a duration (write 500ms, 5s, 2m or 1h)',
        ...['S3_SUCCESS_PREFIX', 'S3_FAILED_PREFIX'].map(
          (variable, index) =>
            `  - ${variable} must be 1 to 200 letters, digits or !_.*'()-/ without a slash at either end, got "/${'ab'[index]}"`,
        ),
      ].join('\n'),
    );
  });

  test('but those of flags first, and then the configuration is not judged', () => {
    const error = refusal(
      { SENDER_CONCURRENCY: '0' },
      { failureRate: '110%', senderConcurrency: '', randomSeed: '7' },
    );
    expect(error).toBeInstanceOf(UsageError);
    expect(error.message).toBe(
      [
        '--failure-rate must be between 0 and 1, got "110%"',
        '--concurrency must be a whole number from 1 to 60000, got ""',
      ].join('\n'),
    );
  });

  test('an empty schedule as flag is wrong usage', () => {
    const error = refusal({}, { retrySchedule: '' });
    expect(error).toBeInstanceOf(UsageError);
    expect(error.message).toBe('--retry-schedule: is empty (write waits such as 5s,30s,2m)');
  });
});

test('a flag wins over the environment, even over a value there that cannot work', () => {
  expect(loadConfig({ FAILURE_RATE: '110%' }, { failureRate: '0.25' }).failureRate).toBe(0.25);
});

describe('a secret', () => {
  const file = (name: string, text: string) => {
    const path = join(folder, name);
    writeFileSync(path, text);
    return path;
  };
  const secrets = Object.values(SETTINGS).filter((setting) => setting.isSecret);

  test.each([
    ['RABBITMQ_URL', 'amqp://hidden'],
    ['RABBITMQ_PASSWORD', 'hidden'],
    ['RABBITMQ_MANAGEMENT_URL', 'http://hidden'],
    ['REDIS_URL', 'redis://hidden'],
    ['REDIS_PASSWORD', 'hidden'],
    ['AWS_ACCESS_KEY_ID', 'hidden'],
    ['AWS_SECRET_ACCESS_KEY', 'hidden'],
    ['AWS_SESSION_TOKEN', 'hidden'],
  ])('%s may come from a file, its last line feed left out', (name, text) => {
    const keys = { AWS_ACCESS_KEY_ID: 'id', AWS_SECRET_ACCESS_KEY: 'key' };
    const config = loadConfig({ ...keys, [name]: '', [`${name}_FILE`]: file(name, `${text}\n`) });
    expect(Object.values(config).flat()).toContain(text);
  });

  test('given itself wins over its file', () => {
    const environment = {
      RABBITMQ_PASSWORD: 'given',
      RABBITMQ_PASSWORD_FILE: file('ignored', 'from the file'),
    };
    expect(loadConfig(environment).rabbitmqPassword).toBe('given');
  });

  test('whose file is empty is not set', () => {
    const environment = {
      RABBITMQ_PASSWORD_FILE: file('empty', ''),
      API_TOKEN_FILE: file('blank', '\n'),
      AWS_ACCESS_KEY_ID_FILE: file('no key', ''),
    };
    expect(loadConfig(environment)).toEqual(loadConfig({}));
  });

  test('whose file is not there is a problem', () => {
    expect(problemsOf({ RABBITMQ_PASSWORD_FILE: '/nowhere' })).toEqual([
      'RABBITMQ_PASSWORD_FILE must name a readable file, got "/nowhere"',
    ]);
  });

  test.each(secrets.map(({ name }) => name))('%s is not repeated when something is wrong with it', (name) => {
    for (const environment of [
      { [name]: 'x://user:hidden@host' },
      { [name]: 'user:hidden@host' },
      { [`${name}_FILE`]: file('wrong', 'x://user:hidden@host') },
    ]) {
      expect(refusal({ ...environment, FAILURE_RATE: '2' }).message).not.toContain('hidden');
    }
  });
});

describe('the servers', () => {
  const withParts = (environment: Environment): Config => loadConfig(environment);

  test('RabbitMQ is told in parts, whatever is in them', () => {
    const config = withParts({
      RABBITMQ_HOST: 'mq',
      RABBITMQ_PORT: '5671',
      RABBITMQ_USER: 'a@b',
      RABBITMQ_PASSWORD: 'p/#?:@%',
      RABBITMQ_VHOST: 'a/b?c',
    });
    const [url] = rabbitmqUrlsOf(config).map((text) => new URL(text));
    expect([
      url?.host,
      decodeURIComponent(url?.username ?? ''),
      decodeURIComponent(url?.password ?? ''),
    ]).toEqual(['mq:5671', 'a@b', 'p/#?:@%']);
    expect(url?.pathname).toBe('/a%2Fb%3Fc');
  });

  test('RabbitMQ is told as URL, which wins, or as a cluster', () => {
    const environment = { RABBITMQ_HOST: 'mq', RABBITMQ_URL: 'amqp://one, amqps://two:5671' };
    expect(rabbitmqUrlsOf(withParts(environment))).toEqual(['amqp://one', 'amqps://two:5671']);
  });

  test.each([
    [{}, { url: 'http://localhost:15672', otherUrls: [], user: 'guest', password: 'guest', vhost: '/' }],
    [
      { RABBITMQ_URL: 'amqps://me:p%40ss@one:5671/prod,amqps://two' },
      {
        url: 'https://one:15671',
        otherUrls: ['https://two:15671'],
        user: 'me',
        password: 'p@ss',
        vhost: 'prod',
      },
    ],
    [
      // The account of the first is also that of the second.
      { RABBITMQ_URL: 'amqp://me:pass@one,amqps://two' },
      {
        url: 'https://one:15671',
        otherUrls: ['https://two:15671'],
        user: 'me',
        password: 'pass',
        vhost: '/',
      },
    ],
    [
      { RABBITMQ_URL: 'amqp://me:pass@[::1]:1' },
      { url: 'http://[::1]:15672', otherUrls: [], user: 'me', password: 'pass', vhost: '/' },
    ],
    [
      { RABBITMQ_URL: 'amqps://me:pass@one', RABBITMQ_MANAGEMENT_URL: 'http://one:15672' },
      { url: 'http://one:15672', otherUrls: [], user: 'me', password: 'pass', vhost: '/' },
    ],
    [
      { RABBITMQ_MANAGEMENT_URL: 'https://eye:p%2F@ui:1/mq/, https://ui:2/mq/', RABBITMQ_VHOST: 'a/b' },
      { url: 'https://ui:1/mq', otherUrls: ['https://ui:2/mq'], user: 'eye', password: 'p/', vhost: 'a/b' },
    ],
  ])('the management API of %o', (environment, management) => {
    expect(managementOf(withParts(environment))).toEqual(management);
  });

  test.each([
    [{}, 'redis://localhost:6379'],
    [{ REDIS_HOST: '[::1]', REDIS_PORT: '1', REDIS_PASSWORD: 'p@s/s' }, 'redis://:p%40s%2Fs@[::1]:1'],
    [{ REDIS_HOST: 'other', REDIS_URL: 'rediss://one:2/3' }, 'rediss://one:2/3'],
  ])('Redis of %o', (environment, url) => expect(redisUrlOf(withParts(environment))).toBe(url));

  test('S3 has the credentials given, or leaves them to the AWS SDK', () => {
    const common = { bucket: 'redial-outcomes', region: 'us-east-1' };
    const keys = { AWS_ACCESS_KEY_ID: 'id', AWS_SECRET_ACCESS_KEY: 'key' };
    expect(s3OptionsOf(withParts({}))).toEqual({ ...common, endpoint: undefined, credentials: undefined });
    expect(
      s3OptionsOf(withParts({ ...keys, AWS_SESSION_TOKEN: 'token', AWS_ENDPOINT_URL: 'http://s3:1' })),
    ).toEqual({
      ...common,
      endpoint: 'http://s3:1',
      credentials: { accessKeyId: 'id', secretAccessKey: 'key', sessionToken: 'token' },
    });
  });

  test('outcomes go under the prefix of their status', () => {
    const prefixes = { S3_SUCCESS_PREFIX: 'a/ok', S3_FAILED_PREFIX: 'a/bad', S3_PARKED_PREFIX: 'odd' };
    expect(outcomePrefixesOf(withParts(prefixes))).toEqual({
      ...{ sent: 'a/ok', failed: 'a/bad', parked: 'odd', known: 'known' },
    });
  });
});
