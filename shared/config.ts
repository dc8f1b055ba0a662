/**
 * Every setting of Redial: one table from which flags, environment, help and documentation come.
 * A flag's bad value is wrong usage (exit 2); then the configuration is not judged. Otherwise all problems of the
 * configuration are told at once (exit 78). Units are those a person types; what processes get is in milliseconds.
 */
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { MAX_DURATION_MS, parseDuration } from './domain/duration.ts';
import { KNOWN_PREFIX, type OutcomePrefixes, RUNS_PREFIX } from './domain/outcome-object.ts';
import { parseRetrySchedule } from './domain/retry-schedule.ts';
import { PROCESSING_TIME_DISTRIBUTIONS } from './domain/simulation.ts';
import { MAX_QUEUE_SHARDS } from './domain/topology.ts';
import type { Environment } from './environment.ts';
import { ConfigurationError, UsageError } from './errors.ts';

interface Setting<Schema extends z.ZodType = z.ZodType> {
  /** Environment variable. */
  readonly name: string;
  /** Command-line flag with its argument, where there is one. */
  readonly flag?: string;
  readonly unit: string;
  /** As typed; empty means not set. */
  readonly default: string;
  readonly help: string;
  readonly schema: Schema;
  /** Never printed, and may come from a file (`NAME_FILE`). */
  readonly isSecret?: boolean;
}

const EMPTY_IS_NO_DEFAULT =
  'It is the only variable that does not count as not set when it is empty: remove it to get the default';
const DIGITS = /^-?\d+$/;
const DECIMAL = /^-?(\d+(\.\d*)?|\.\d+)$/;

/** Of `-0`, which is no less than 0, it is 0 itself. */
function numberOf(text: string): number {
  return Number(text) + 0;
}

function wholeNumber(min: number, max: number = Number.MAX_SAFE_INTEGER) {
  const range = max === Number.MAX_SAFE_INTEGER ? `of at least ${min}` : `from ${min} to ${max}`;
  const error = `must be a whole number ${range}`;
  return z
    .string()
    .regex(DIGITS, { error, abort: true })
    .transform(numberOf)
    .refine((value) => Number.isSafeInteger(value) && value >= min && value <= max, { error });
}

function decimal(min: number, max: number, unit = '', isMinAllowed = true) {
  const least = isMinAllowed ? `between ${min} and ${max}` : `above ${min}, at most ${max}`;
  const error = `must be ${unit === '' ? '' : `a number of ${unit} `}${least}`;
  return z
    .string()
    .regex(DECIMAL, { error, abort: true })
    .transform(numberOf)
    .refine((value) => value <= max && (isMinAllowed ? value >= min : value > min), { error });
}

function seconds(min: number, max: number, isMinAllowed = true) {
  return decimal(min, max, 'seconds', isMinAllowed).transform((value) => value * 1_000);
}

function pattern(regex: RegExp, error: string) {
  return z.string().regex(regex, { error });
}

function oneOf<const Values extends readonly [string, ...string[]]>(values: Values) {
  return z.enum(values, { error: `must be ${values.slice(0, -1).join(', ')} or ${values.at(-1)}` });
}

function url(schemes: readonly string[]) {
  return z.string().superRefine((text, context) => {
    const error = `must be a URL such as ${schemes[0]}://host:port`;
    if (hasStrayAt(text))
      return context.addIssue('must have an @ or / of its user or password written as %40 or %2F');
    if (!URL.canParse(text)) return context.addIssue(error);
    const { protocol, hostname, port, username, password, pathname } = new URL(text);
    if (!schemes.includes(protocol.slice(0, -1))) {
      return context.addIssue(`must begin with ${schemes.map((scheme) => `${scheme}://`).join(' or ')}`);
    }
    if (hostname === '' || port === '0') return context.addIssue(error);
    if (![username, password, pathname].every(isDecodable)) {
      context.addIssue('must have a % of its user, password or path written as %25');
    }
  });
}

/** True where a piece of the password would be taken for the host, or the user for it. */
function hasStrayAt(text: string): boolean {
  const [authority = ''] = /(?<=:\/\/)[^/?#]*/.exec(text) ?? [];
  return text.split('@').length > 2 || (text.includes('@') && !authority.includes('@'));
}

function isDecodable(part: string): boolean {
  try {
    decodeURIComponent(part);
    return true;
  } catch {
    return false;
  }
}

// With a port in it, the URL made of the parts would be none.
const hostName = z.string().refine((text) => /^[^\s/@?#]+$/.test(text) && URL.canParse(`amqp://${text}:1`), {
  error: 'must be a host name or an address, IPv6 in [brackets], without a port',
});

function urls(schemes: readonly string[]) {
  return z
    .string()
    .transform((text) => text.split(',').map((part) => part.trim()))
    .pipe(z.array(url(schemes)).nonempty());
}

const schedule = z.string().transform((text, context) => {
  const parsed = parseRetrySchedule(text);
  if ('schedule' in parsed) return parsed.schedule;
  context.addIssue(parsed.problems.join('; '));
  return z.NEVER;
});

const duration = z.string().transform((text, context) => {
  const durationMs = parseDuration(text);
  if (durationMs !== undefined && durationMs >= 1_000 && durationMs <= MAX_DURATION_MS) return durationMs;
  context.addIssue('must be a duration from 1s to a year (write 30s, 5m, 12h or 1d)');
  return z.NEVER;
});

const prefix = pattern(
  /^(?!\/)(?!.*\/$)[A-Za-z0-9!_.*'()/-]{1,200}$/,
  "must be 1 to 200 letters, digits or !_.*'()-/ without a slash at either end",
).superRefine((text, context) => {
  const parts = text.split('/');
  // Only those between slashes: one at either end has been told already.
  if (parts.slice(1, -1).includes('')) context.addIssue('must not have an empty part between two slashes');
  // A server that keeps objects as files, or a client that normalizes a URL, would take them as steps of a path.
  if (parts.includes('.') || parts.includes('..')) {
    context.addIssue('must not have "." or ".." as a part between slashes');
  }
});

const bucket = pattern(
  /^(?!\d+\.\d+\.\d+\.\d+$)(?!.*\.\.)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/,
  'must be 3 to 63 lower-case letters, digits, dots and hyphens, beginning and ending with a letter or digit',
);

const port = wholeNumber(1, 65_535);
const anyText = z.string();

function setting<Schema extends z.ZodType>(
  name: string,
  unit: string,
  defaultText: string,
  schema: Schema,
  help: string,
  more: { flag?: string; isSecret?: boolean } = {},
): Setting<Schema> {
  return { name, unit, default: defaultText, schema, help, ...more };
}

/** All settings, in the order in which documentation tells them. */
export const SETTINGS = {
  rabbitmqUrl: setting(
    'RABBITMQ_URL',
    'amqp:// or amqps://',
    '',
    urls(['amqp', 'amqps']),
    'wins over the parts; a comma-separated list is a cluster',
    { isSecret: true },
  ),
  rabbitmqHost: setting('RABBITMQ_HOST', 'host', 'localhost', hostName, 'where RabbitMQ runs'),
  rabbitmqPort: setting('RABBITMQ_PORT', 'port', '5672', port, 'its AMQP port'),
  rabbitmqUser: setting('RABBITMQ_USER', '', 'guest', anyText, 'its user'),
  rabbitmqPassword: setting('RABBITMQ_PASSWORD', '', 'guest', anyText, 'password', { isSecret: true }),
  rabbitmqVhost: setting('RABBITMQ_VHOST', '', '/', anyText, 'virtual host'),
  rabbitmqManagementUrl: setting(
    'RABBITMQ_MANAGEMENT_URL',
    'http:// or https://',
    '',
    urls(['http', 'https']),
    'management API, of a cluster separated by commas; unset: port 15672 of each host, with amqps:// https on port 15671',
    // It may carry user and password.
    { isSecret: true },
  ),
  redisUrl: setting(
    'REDIS_URL',
    'redis:// or rediss://',
    '',
    url(['redis', 'rediss']),
    'wins over the parts',
    { isSecret: true },
  ),
  redisHost: setting('REDIS_HOST', 'host', 'localhost', hostName, 'where Redis runs'),
  redisPort: setting('REDIS_PORT', 'port', '6379', port, 'its port'),
  redisPassword: setting('REDIS_PASSWORD', '', '', anyText, 'password', { isSecret: true }),
  queueName: setting(
    'QUEUE_NAME',
    'name',
    'sms',
    pattern(
      // `sms.internal` is the exchange for what is Redial's own of the pipeline `sms`.
      /^(?!amq\.)(?!.*\.internal$)(?!\.{1,2}$)[A-Za-z0-9._-]{1,100}$/,
      'must be 1 to 100 letters, digits, dots, underscores or hyphens, not beginning with "amq.", not ending with ".internal"',
    ),
    'prefix of every exchange, queue and Redis key',
  ),
  queueShards: setting(
    'QUEUE_SHARDS',
    'queues',
    '1',
    wholeNumber(1, MAX_QUEUE_SHARDS),
    'work queues that fresh SMS are spread over; senders take from all there are',
  ),
  meanProcessingTime: setting(
    'MEAN_PROCESSING_TIME',
    'seconds',
    '0.5',
    seconds(0, 120),
    'mean time the simulated carrier takes',
    { flag: '--mean-processing-time <seconds>' },
  ),
  processingTimeDistribution: setting(
    'PROCESSING_TIME_DISTRIBUTION',
    PROCESSING_TIME_DISTRIBUTIONS.join('|'),
    'exponential',
    oneOf(PROCESSING_TIME_DISTRIBUTIONS),
    'how times spread around the mean',
  ),
  failureRate: setting(
    'FAILURE_RATE',
    'probability per attempt',
    '0.1',
    decimal(0, 1),
    'share of attempts that the simulated carrier fails',
    { flag: '--failure-rate <0..1>' },
  ),
  permanentFailureShare: setting(
    'PERMANENT_FAILURE_SHARE',
    'share of failures',
    '0',
    decimal(0, 1),
    'failures that end the SMS at once (unknown subscriber, blocked)',
  ),
  retrySchedule: setting(
    'RETRY_SCHEDULE',
    'durations',
    '5s,30s,2m,10m',
    schedule,
    'waits before the 2nd, 3rd, … attempt; at most 50, each 1ms to 1 year',
    { flag: '--retry-schedule <waits>' },
  ),
  senderConcurrency: setting(
    'SENDER_CONCURRENCY',
    'SMS',
    '100',
    wholeNumber(1, 60_000),
    'SMS being sent at once by one sender',
    { flag: '--concurrency <number>' },
  ),
  randomSeed: setting(
    'RANDOM_SEED',
    'whole number',
    '1',
    wholeNumber(0),
    'the simulated carrier does the same again for the same seed',
    { flag: '--seed <number>' },
  ),
  monitorUpdateInterval: setting(
    'MONITOR_UPDATE_INTERVAL',
    'seconds',
    '5',
    seconds(0, 86_400, false),
    'time between two lines of the monitor',
    { flag: '--update-interval <seconds>' },
  ),
  s3Bucket: setting(
    'S3_BUCKET',
    'bucket',
    'redial-outcomes',
    bucket,
    'made at start where allowed and missing',
  ),
  s3SuccessPrefix: setting('S3_SUCCESS_PREFIX', 'prefix', 'success', prefix, 'outcomes of sent SMS'),
  s3FailedPrefix: setting('S3_FAILED_PREFIX', 'prefix', 'failed', prefix, 'outcomes of failed SMS'),
  s3ParkedPrefix: setting('S3_PARKED_PREFIX', 'prefix', 'parked', prefix, 'messages that could not be read'),
  awsRegion: setting(
    'AWS_REGION',
    'region',
    'us-east-1',
    pattern(/^[a-z0-9-]+$/, 'must be a region such as us-east-1'),
    'region of the bucket',
  ),
  awsEndpointUrl: setting(
    'AWS_ENDPOINT_URL',
    'http:// or https://',
    '',
    url(['http', 'https']),
    'S3 server; unset: AWS itself',
  ),
  awsAccessKeyId: setting('AWS_ACCESS_KEY_ID', '', '', anyText, 'unset: as the AWS SDK finds credentials', {
    isSecret: true,
  }),
  awsSecretAccessKey: setting('AWS_SECRET_ACCESS_KEY', '', '', anyText, 'belongs to the key id', {
    isSecret: true,
  }),
  awsSessionToken: setting('AWS_SESSION_TOKEN', '', '', anyText, 'for temporary credentials', {
    isSecret: true,
  }),
  keepTime: setting(
    'KEEP_TIME',
    'duration',
    '1d',
    duration,
    'how long Redis remembers an SMS after its outcome; then its id is a new SMS',
  ),
  outcomeBatchSize: setting(
    'OUTCOME_BATCH_SIZE',
    'records',
    '5000',
    wholeNumber(1, 100_000),
    'records that close an outcome object',
  ),
  outcomeBatchSeconds: setting(
    'OUTCOME_BATCH_SECONDS',
    'seconds',
    '1',
    seconds(0, 3_600, false),
    'or time that closes it, whichever comes first',
  ),
  shutdownTimeout: setting(
    'SHUTDOWN_TIMEOUT',
    'seconds',
    '30',
    seconds(0, 86_400, false),
    'time a sender has to drain',
  ),
  heartbeatFile: setting(
    'HEARTBEAT_FILE',
    'path',
    '',
    anyText,
    'touched every 5 s by a sender that is connected to RabbitMQ, and by a monitor; unset: none',
  ),
  logLevel: setting(
    'LOG_LEVEL',
    'level',
    'info',
    oneOf(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']),
    'least level that is logged',
  ),
  logFormat: setting(
    'LOG_FORMAT',
    'json|pretty',
    '',
    oneOf(['json', 'pretty']),
    'unset: pretty on a terminal, else json',
  ),
} as const satisfies Record<string, Setting>;

export type SettingKey = keyof typeof SETTINGS;
type ValueOf<Key extends SettingKey> = z.output<(typeof SETTINGS)[Key]['schema']>;
type Values = { readonly [Key in SettingKey]: ValueOf<Key> | undefined };
/** Values of flags as typed, by the setting they belong to. */
export type FlagValues = Partial<Record<SettingKey, string>>;

/** A value that has a default is always there. */
type Optional =
  | 'rabbitmqUrl'
  | 'rabbitmqManagementUrl'
  | 'redisUrl'
  | 'redisPassword'
  | 'awsEndpointUrl'
  | 'awsAccessKeyId'
  | 'awsSecretAccessKey'
  | 'awsSessionToken'
  | 'heartbeatFile'
  | 'logFormat';
export type Config = {
  readonly [Key in SettingKey]: Key extends Optional ? ValueOf<Key> | undefined : ValueOf<Key>;
};

/** @throws UsageError for flags, else ConfigurationError with every problem */
export function loadConfig(environment: Environment, flags: FlagValues = {}): Config {
  const flagProblems = Object.entries(flags).flatMap(([key, text]) => {
    const described: Setting = SETTINGS[key as SettingKey];
    const flagName = described.flag?.split(' ')[0] ?? described.name;
    return judge(described, flagName, text).problems;
  });
  if (flagProblems.length > 0) throw new UsageError(flagProblems.join('\n'));
  const problems: string[] = [];
  const values: Record<string, unknown> = {};
  for (const [key, described] of Object.entries(SETTINGS) as [SettingKey, Setting][]) {
    const text = flags[key] ?? textOf(described, environment, problems);
    const judged = judge(described, described.name, text);
    problems.push(
      ...judged.problems.map((problem) => (text === '' ? `${problem}. ${EMPTY_IS_NO_DEFAULT}` : problem)),
    );
    values[key] = judged.value;
  }
  problems.push(...contradictionsIn(values as Values));
  if (problems.length > 0) throw new ConfigurationError(problems);
  return values as Config;
}

function textOf(described: Setting, environment: Environment, problems: string[]): string {
  const given = environment[described.name];
  if (given !== undefined && (given !== '' || described.name === 'RETRY_SCHEDULE')) return given;
  const path = described.isSecret === true ? environment[`${described.name}_FILE`] : undefined;
  if (path === undefined || path === '') return described.default;
  try {
    return readFileSync(path, 'utf8').trimEnd();
  } catch {
    problems.push(`${described.name}_FILE must name a readable file, got "${path}"`);
    return described.default;
  }
}

function judge(described: Setting, label: string, text: string): { value: unknown; problems: string[] } {
  if (text === '' && described.default === '') return { value: undefined, problems: [] };
  const parsed = described.schema.safeParse(text);
  if (parsed.success) return { value: parsed.data, problems: [] };
  const got = described.isSecret === true ? '' : `, got "${text}"`;
  const messages = [...new Set(parsed.error.issues.map((issue) => issue.message))];
  return {
    value: undefined,
    problems: messages.map((message) =>
      described.schema === SETTINGS.retrySchedule.schema
        ? `${label}: ${message}`
        : `${label} ${message}${got}`,
    ),
  };
}

function contradictionsIn(values: Values): string[] {
  const problems = overlapsIn(values);
  if ((values.awsAccessKeyId === undefined) !== (values.awsSecretAccessKey === undefined)) {
    problems.push('AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY must be set together, got only one of them');
  }
  return problems;
}

function overlapsIn(values: Values): string[] {
  // A prefix that cannot be read has been told already.
  const prefixes = (['s3SuccessPrefix', 's3FailedPrefix', 's3ParkedPrefix'] as const).flatMap((key) => {
    const prefix = values[key];
    return prefix === undefined ? [] : [{ name: SETTINGS[key].name, prefix }];
  });
  return prefixes.flatMap((one, index) => [
    ...[RUNS_PREFIX, KNOWN_PREFIX]
      .filter((own) => overlap(one.prefix, own))
      .map(
        (own) =>
          `${one.name} must lie outside "${own}", where Redial writes other things, got "${one.prefix}"`,
      ),
    ...prefixes
      .slice(index + 1)
      .filter((other) => overlap(one.prefix, other.prefix))
      .map(
        (other) =>
          `${one.name} and ${other.name} must lie outside each other, got "${one.prefix}" and "${other.prefix}"`,
      ),
  ]);
}

/** True where one of the two is the other or lies in it. */
function overlap(one: string, other: string): boolean {
  return `${one}/`.startsWith(`${other}/`) || `${other}/`.startsWith(`${one}/`);
}

/** The AMQP URLs to try in turn, credentials included: never print them. */
export function rabbitmqUrlsOf(config: Config): readonly string[] {
  if (config.rabbitmqUrl !== undefined) return config.rabbitmqUrl;
  const { rabbitmqHost, rabbitmqPort, rabbitmqUser, rabbitmqPassword, rabbitmqVhost } = config;
  const credentials = `${encodeURIComponent(rabbitmqUser)}:${encodeURIComponent(rabbitmqPassword)}`;
  return [`amqp://${credentials}@${rabbitmqHost}:${rabbitmqPort}/${encodeURIComponent(rabbitmqVhost)}`];
}

/** The management API's base URL, those of the cluster's other nodes, and the account for them. */
export function managementOf(config: Config): {
  readonly url: string;
  readonly otherUrls: readonly string[];
  readonly user: string;
  readonly password: string;
  readonly vhost: string;
} {
  const amqpUrls = rabbitmqUrlsOf(config).map((url) => new URL(url));
  const [first = new URL('amqp://localhost')] = amqpUrls;
  // The account of an encrypted connection goes in clear to the management API only where its URL says so.
  const isEncrypted = amqpUrls.some(({ protocol }) => protocol === 'amqps:');
  const derive = ({ hostname }: URL) =>
    isEncrypted ? `https://${hostname}:15671` : `http://${hostname}:15672`;
  const urls = config.rabbitmqManagementUrl ?? amqpUrls.map(derive);
  const [own = first, ...others] = urls.map((url) => new URL(url));
  const baseOf = ({ protocol, host, pathname }: URL) => `${protocol}//${host}${pathname.replace(/\/$/, '')}`;
  return {
    url: baseOf(own),
    otherUrls: others.map(baseOf),
    user: decodeURIComponent(own.username || first.username || 'guest'),
    password: decodeURIComponent(own.password || first.password || 'guest'),
    vhost: first.pathname.length > 1 ? decodeURIComponent(first.pathname.slice(1)) : '/',
  };
}

/** The Redis URL, credentials included: never print it. */
export function redisUrlOf(config: Config): string {
  if (config.redisUrl !== undefined) return config.redisUrl;
  const credentials =
    config.redisPassword === undefined ? '' : `:${encodeURIComponent(config.redisPassword)}@`;
  return `redis://${credentials}${config.redisHost}:${config.redisPort}`;
}

/** Where outcomes go, by status. */
export function outcomePrefixesOf(config: Config): OutcomePrefixes {
  const { s3SuccessPrefix: sent, s3FailedPrefix: failed, s3ParkedPrefix: parked } = config;
  return { sent, failed, parked, known: KNOWN_PREFIX };
}

/** What the S3 client needs; credentials undefined: as the AWS SDK finds them. */
export function s3OptionsOf(config: Config) {
  const { s3Bucket, awsRegion, awsEndpointUrl, awsAccessKeyId, awsSecretAccessKey, awsSessionToken } = config;
  const session = awsSessionToken === undefined ? {} : { sessionToken: awsSessionToken };
  return {
    bucket: s3Bucket,
    region: awsRegion,
    endpoint: awsEndpointUrl,
    credentials:
      awsAccessKeyId === undefined || awsSecretAccessKey === undefined
        ? undefined
        : { accessKeyId: awsAccessKeyId, secretAccessKey: awsSecretAccessKey, ...session },
  };
}
