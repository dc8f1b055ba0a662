import { Agent } from 'node:https';
import {
  CreateBucketCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadBucketCommand,
  ListObjectsV2Command,
  type ListObjectsV2CommandInput,
  PutObjectCommand,
  S3Client,
  type S3ClientConfig,
} from '@aws-sdk/client-s3';
import { ConfigurationError, describeError, RedialError, ServerUnavailableError } from '../../errors.ts';
import type { ObjectStore } from '../../ports/object-store.ts';
import { placeOf, type TlsServer } from '../../tls/explain-failure.ts';
import { tlsRefusalOf } from '../../tls/tls-refusal.ts';
import { type Trust, tlsOptionsOf } from '../../tls/trust.ts';

export interface S3Options {
  readonly bucket: string;
  readonly region: string;
  /** Undefined: AWS itself. */
  readonly endpoint: string | undefined;
  /** Certificates for `https://`. Default: those of Node.js. */
  readonly trust?: Trust | undefined;
  /** Undefined: as the AWS SDK finds them. */
  readonly credentials:
    | { readonly accessKeyId: string; readonly secretAccessKey: string; readonly sessionToken?: string }
    | undefined;
  /** How long a request may take, and how long its connection may be silent. Default: 20 s. */
  readonly requestTimeoutMs?: number;
}

const S3: TlsServer = {
  ...{ server: 'S3', urlSetting: 'AWS_ENDPOINT_URL', trustSetting: 'AWS_CA_BUNDLE' },
  schemes: { plain: 'http://', encrypted: 'https://' },
  ports: { plain: 80, encrypted: 443 },
  noClientCertificates: 'in its own configuration',
};
const CONNECT_TIMEOUT_MS = 5_000;
const REQUEST_TIMEOUT_MS = 20_000;
const CREDENTIALS_TIMEOUT_MS = 3_000;
// As many as the SDK has without TLS.
const MAX_SOCKETS = 50;

export class S3ObjectStore implements ObjectStore {
  readonly #client: S3Client;
  readonly #options: S3Options;
  readonly #closing = new AbortController();
  /** True once S3 has done something for us: TLS with it has worked, or is not needed. */
  #hasWorked = false;

  constructor(options: S3Options) {
    // The SDK warns on stderr of each Node version that it will drop. Our version is stated in package.json.
    process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED = 'true';
    this.#options = options;
    this.#client = new S3Client(clientConfigOf(options));
  }

  /** @throws ConfigurationError where no credentials can be found: a sentence now instead of a long wait at the first put */
  async requireCredentials(): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const deadline = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error('no answer')), CREDENTIALS_TIMEOUT_MS);
    });
    try {
      await Promise.race([this.#client.config.credentials(), deadline]);
    } catch {
      throw new ConfigurationError([
        'S3 needs credentials and none were found: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (or AWS_PROFILE), ' +
          'and AWS_ENDPOINT_URL for a server of your own',
      ]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Makes the bucket where it is missing and we may. @throws ServerUnavailableError */
  async ensureBucket(): Promise<void> {
    const Bucket = this.#options.bucket;
    try {
      await this.#client.send(new HeadBucketCommand({ Bucket }));
    } catch (error) {
      if (statusOf(error) !== 404) throw await this.#explain(error);
      await this.#createBucket();
    }
  }

  async put(key: string, body: Buffer): Promise<void> {
    const command = new PutObjectCommand({
      Bucket: this.#options.bucket,
      Key: key,
      Body: body,
      ContentType: key.endsWith('.json') ? 'application/json' : 'application/x-ndjson',
    });
    try {
      await this.#client.send(command);
    } catch (error) {
      if (nameOf(error) !== 'NoSuchBucket') throw await this.#explain(error);
      await this.#createBucket();
      await this.#client.send(command).catch(this.#refuse);
    }
    this.#hasWorked = true;
  }

  async get(key: string): Promise<Buffer | undefined> {
    try {
      const { Body } = await this.#client.send(
        new GetObjectCommand({ Bucket: this.#options.bucket, Key: key }),
      );
      this.#hasWorked = true;
      return Body === undefined ? Buffer.alloc(0) : Buffer.from(await Body.transformToByteArray());
    } catch (error) {
      if (nameOf(error) === 'NoSuchKey') return undefined;
      throw await this.#explain(error);
    }
  }

  async *list(prefix: string, after?: string): AsyncIterable<string> {
    let position: Partial<ListObjectsV2CommandInput> = after === undefined ? {} : { StartAfter: after };
    for (;;) {
      const command = new ListObjectsV2Command({
        Bucket: this.#options.bucket,
        Prefix: prefix,
        ...position,
      });
      const page = await this.#client.send(command).catch(this.#refuse);
      this.#hasWorked = true;
      for (const { Key } of page.Contents ?? []) if (Key !== undefined) yield Key;
      if (page.IsTruncated !== true || page.NextContinuationToken === undefined) return;
      position = { ContinuationToken: page.NextContinuationToken };
    }
  }

  /** No part of the pipeline: `npm run reset` forgets outcomes with it. */
  async remove(key: string): Promise<void> {
    const command = new DeleteObjectCommand({ Bucket: this.#options.bucket, Key: key });
    await this.#client.send(command).catch(this.#refuse);
  }

  close(): void {
    this.#closing.abort();
    this.#client.destroy();
  }

  async #createBucket(): Promise<void> {
    const { bucket: Bucket, region } = this.#options;
    // us-east-1 is the one region that must not be named as location.
    const location =
      region === 'us-east-1'
        ? {}
        : { CreateBucketConfiguration: { LocationConstraint: region as 'eu-west-1' } };
    try {
      await this.#client.send(new CreateBucketCommand({ Bucket, ...location }));
    } catch (error) {
      if (nameOf(error) === 'BucketAlreadyOwnedByYou' || nameOf(error) === 'BucketAlreadyExists') return;
      throw await this.#explain(error);
    }
  }

  readonly #refuse = async (error: unknown): Promise<never> => {
    throw await this.#explain(error);
  };

  async #explain(error: unknown): Promise<RedialError> {
    const where = this.#options.endpoint ?? 'AWS';
    const status = statusOf(error);
    const tlsRefusal = await this.#tlsRefusalOf(error, status);
    if (tlsRefusal !== undefined) return tlsRefusal;
    if (nameOf(error) === 'NoSuchBucket') {
      return new RedialError('NO_BUCKET', `S3 at ${where} has no bucket "${this.#options.bucket}"`, {
        cause: error,
      });
    }
    const isRefusal = status !== undefined && status >= 400 && status < 500 && !PASSING.has(status);
    const said = describeError(error);
    return new ServerUnavailableError(
      isRefusal
        ? `S3 at ${where} refused us (${said}). Check the credentials and their rights.`
        : `S3 at ${where}: ${said}`,
      { isRefusal, cause: error },
    );
  }

  /** A refusal for good only before S3 has worked: who has a wrong certificate then may get another one. */
  async #tlsRefusalOf(error: unknown, status: number | undefined): Promise<RedialError | undefined> {
    const { endpoint, region } = this.#options;
    const place = placeOf(S3, endpoint ?? `https://s3.${region}.amazonaws.com`);
    // To a request without TLS, a server that speaks it answers 400 or nothing.
    const mayBeTls = place.isEncrypted ? status === undefined : !this.#hasWorked && (status ?? 400) === 400;
    if (!mayBeTls) return undefined;
    const refusal = await tlsRefusalOf(place, error, this.#closing.signal);
    if (refusal === undefined || !this.#hasWorked) return refusal;
    return new ServerUnavailableError(refusal.message, { isRefusal: false, cause: error });
  }
}

function clientConfigOf({
  region,
  endpoint,
  trust,
  credentials,
  requestTimeoutMs = REQUEST_TIMEOUT_MS,
}: S3Options): S3ClientConfig {
  return {
    region,
    ...(endpoint === undefined ? {} : { endpoint, forcePathStyle: true }),
    ...(credentials === undefined ? {} : { credentials }),
    // Redial repeats requests itself. Repeats of the SDK would only hide how long a store has been away.
    maxAttempts: 1,
    // Servers that are not AWS refuse the newer checksums.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    requestHandler: {
      ...(endpoint === undefined || placeOf(S3, endpoint).isEncrypted
        ? { httpsAgent: agentTrusting(trust) }
        : {}),
      connectionTimeout: CONNECT_TIMEOUT_MS,
      requestTimeout: requestTimeoutMs,
      // Without it the SDK logs a line at the timeout and waits on.
      throwOnRequestTimeout: true,
      socketTimeout: requestTimeoutMs,
    },
  };
}

/**
 * Made here and not by the SDK: for an object of 2 MiB or more the SDK would take another agent of its own, which knows
 * nothing of our certificates.
 */
function agentTrusting(trust: Trust | undefined): Agent {
  return new Agent({ keepAlive: true, maxSockets: MAX_SOCKETS, ...tlsOptionsOf(trust) });
}

// Not there, not in time, in conflict, too early, too many: the same request may be carried out later.
const PASSING = new Set([404, 408, 409, 425, 429]);

function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : '';
}

function statusOf(error: unknown): number | undefined {
  return (error as { $metadata?: { httpStatusCode?: number } } | null)?.$metadata?.httpStatusCode;
}
