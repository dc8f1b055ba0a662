import { KNOWN_PREFIX, type OutcomePrefixes, RUNS_PREFIX } from '../../domain/outcome/outcome-object.ts';
import { anyText, CERTIFICATES, oneOf, seconds, textLike, url, wholeNumber } from './kinds.ts';
import { type Kind, secret, setting, type ValuesOf } from './setting.ts';

const BUCKET = textLike(
  'bucket',
  /^(?!\d+\.\d+\.\d+\.\d+$)(?!.*\.\.)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/,
  'must be 3 to 63 lower-case letters, digits, dots and hyphens, beginning and ending with a letter or digit',
);

const PREFIX: Kind<string> = {
  unit: 'prefix',
  read(value) {
    const problems: string[] = [];
    if (!/^(?!\/)(?!.*\/$)[A-Za-z0-9!_.*'()/-]{1,200}$/.test(value))
      problems.push("must be 1 to 200 letters, digits or !_.*'()-/ without a slash at either end");
    const parts = value.split('/');
    // Only parts between slashes: an empty one at either end has been told already.
    if (parts.slice(1, -1).includes('')) problems.push('must not have an empty part between two slashes');
    // A server that keeps objects as files, or a client that normalizes a URL, would take them as steps of a path.
    if (parts.includes('.') || parts.includes('..'))
      problems.push('must not have "." or ".." as a part between slashes');
    return problems.length === 0 ? { value } : { problems };
  },
};

/** Where outcomes are stored, and when. */
export const S3 = {
  s3Bucket: setting('S3_BUCKET', 'redial-outcomes', BUCKET, 'made at start where allowed and missing'),
  s3SuccessPrefix: setting('S3_SUCCESS_PREFIX', 'success', PREFIX, 'outcomes of sent SMS'),
  s3FailedPrefix: setting('S3_FAILED_PREFIX', 'failed', PREFIX, 'outcomes of failed SMS'),
  s3ParkedPrefix: setting('S3_PARKED_PREFIX', 'parked', PREFIX, 'messages that could not be read'),
  outcomeBatchSize: setting(
    'OUTCOME_BATCH_SIZE',
    '5000',
    wholeNumber('records', 1, 100_000),
    'records that close an outcome object',
  ),
  outcomeBatchSeconds: setting(
    'OUTCOME_BATCH_SECONDS',
    '1',
    seconds(3_600),
    'time that closes an outcome object which is not full by then',
  ),
  outcomeEvents: setting(
    'OUTCOME_EVENTS',
    'off',
    oneOf(['on', 'off']),
    'on: each stored outcome is also published to the exchange <QUEUE_NAME>.events',
  ),
  awsRegion: setting(
    'AWS_REGION',
    'us-east-1',
    textLike('region', /^[a-z0-9-]+$/, 'must be a region such as us-east-1'),
    'region of the bucket',
  ),
  awsEndpointUrl: setting('AWS_ENDPOINT_URL', '', url('http', 'https'), 'S3 server; unset: AWS itself'),
  awsAccessKeyId: secret('AWS_ACCESS_KEY_ID', '', anyText(), 'unset: as the AWS SDK finds credentials'),
  awsSecretAccessKey: secret('AWS_SECRET_ACCESS_KEY', '', anyText(), 'secret that belongs to the key id'),
  awsSessionToken: secret('AWS_SESSION_TOKEN', '', anyText(), 'for temporary credentials'),
  s3Trust: setting(
    'AWS_CA_BUNDLE',
    '',
    CERTIFICATES,
    'certificates to trust beside those of Node.js, for https:// of S3',
  ),
};
type S3Config = ValuesOf<typeof S3>;

/** What is wrong with settings that can be read each by itself. */
export function contradictionsInS3(values: Partial<S3Config>): string[] {
  const problems = overlapsIn(values);
  if ((values.awsAccessKeyId === undefined) !== (values.awsSecretAccessKey === undefined))
    problems.push('AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY must be set together, got only one of them');
  return problems;
}

function overlapsIn(values: Partial<S3Config>): string[] {
  // A prefix that cannot be read has been told already.
  const prefixes = (['s3SuccessPrefix', 's3FailedPrefix', 's3ParkedPrefix'] as const).flatMap((key) => {
    const prefix = values[key];
    return prefix === undefined ? [] : [{ name: S3[key].name, prefix }];
  });
  return prefixes.flatMap(({ name, prefix }, index) => [
    ...[RUNS_PREFIX, KNOWN_PREFIX]
      .filter((own) => overlap(prefix, own))
      .map((own) => `${name} must lie outside "${own}", where Redial writes other things, got "${prefix}"`),
    ...prefixes
      .slice(index + 1)
      .filter((other) => overlap(prefix, other.prefix))
      .map(
        (other) =>
          `${name} and ${other.name} must lie outside each other, got "${prefix}" and "${other.prefix}"`,
      ),
  ]);
}

/** True where one of the two is the other or lies in it. */
function overlap(one: string, other: string): boolean {
  return `${one}/`.startsWith(`${other}/`) || `${other}/`.startsWith(`${one}/`);
}

/** Where outcomes go, by status. */
export function outcomePrefixesOf(config: S3Config): OutcomePrefixes {
  const { s3SuccessPrefix: sent, s3FailedPrefix: failed, s3ParkedPrefix: parked } = config;
  return { sent, failed, parked, known: KNOWN_PREFIX };
}

/** What the S3 client needs; credentials undefined: as the AWS SDK finds them. */
export function s3OptionsOf(config: S3Config) {
  const { s3Bucket, awsRegion, awsEndpointUrl, awsAccessKeyId, awsSecretAccessKey, awsSessionToken } = config;
  const session = awsSessionToken === undefined ? {} : { sessionToken: awsSessionToken };
  return {
    bucket: s3Bucket,
    region: awsRegion,
    endpoint: awsEndpointUrl,
    trust: config.s3Trust,
    credentials:
      awsAccessKeyId === undefined || awsSecretAccessKey === undefined
        ? undefined
        : { accessKeyId: awsAccessKeyId, secretAccessKey: awsSecretAccessKey, ...session },
  };
}
