import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type EmbeddedS3, startEmbeddedS3 } from '../../../scripts/servers/private/embedded-s3.ts';
import type { PrivateRabbitMq } from '../../../scripts/servers/private/private-rabbitmq.ts';
import { type PrivateRedis, startPrivateRedis } from '../../../scripts/servers/private/private-redis.ts';
import { S3ObjectStore } from '../../../shared/adapters/s3/object-store.ts';
import type { Trust } from '../../../shared/tls/trust.ts';
import { startTestedRabbitMq } from '../rabbitmq/tested-rabbitmq.ts';

/** Where the servers of a pipeline are. */
export interface ServerAddresses {
  readonly rabbitmqUrl: string;
  readonly managementUrl: string;
  readonly redisUrl: string;
  readonly s3Endpoint: string;
  readonly s3AccessKeyId: string;
  readonly s3SecretAccessKey: string;
}

/** The servers of a test run, shared by all of it: each pipeline takes a QUEUE_NAME and a bucket of its own. */
export interface TestServers extends ServerAddresses {
  readonly rabbitmqLogFile: string;
  /** A temporary folder that is removed after the run. */
  readonly folder: string;
}

interface Stoppable {
  stop(options?: { signal?: NodeJS.Signals }): Promise<void>;
}

export function addressesOf(rabbitMq: PrivateRabbitMq, redis: PrivateRedis, s3: EmbeddedS3): ServerAddresses {
  return {
    ...{ rabbitmqUrl: rabbitMq.amqpUrl, managementUrl: rabbitMq.managementUrl, redisUrl: redis.url },
    ...{ s3Endpoint: s3.endpoint, s3AccessKeyId: s3.accessKeyId, s3SecretAccessKey: s3.secretAccessKey },
  };
}

/** The environment that tells a command where the servers are. */
export function environmentOf(addresses: ServerAddresses): Record<string, string> {
  return {
    PATH: process.env.PATH ?? '',
    RABBITMQ_URL: addresses.rabbitmqUrl,
    RABBITMQ_MANAGEMENT_URL: addresses.managementUrl,
    REDIS_URL: addresses.redisUrl,
    AWS_ENDPOINT_URL: addresses.s3Endpoint,
    AWS_ACCESS_KEY_ID: addresses.s3AccessKeyId,
    AWS_SECRET_ACCESS_KEY: addresses.s3SecretAccessKey,
    AWS_EC2_METADATA_DISABLED: 'true',
  };
}

export function bucketOn(servers: ServerAddresses, bucket: string, trust?: Trust): S3ObjectStore {
  const { s3Endpoint: endpoint, s3AccessKeyId: accessKeyId, s3SecretAccessKey: secretAccessKey } = servers;
  return new S3ObjectStore({
    ...{ bucket, region: 'us-east-1', endpoint, trust, credentials: { accessKeyId, secretAccessKey } },
  });
}

/** Starts servers at the same time. Where one does not start, the others are stopped. `stop` throws their data away. */
export async function startTogether<Servers extends Record<string, Stoppable>>(
  starts: {
    readonly [Name in keyof Servers]: Promise<Servers[Name]>;
  },
): Promise<Servers & { stop(): Promise<void> }> {
  const started: Partial<Servers> = {};
  const results = await Promise.allSettled(
    Object.entries(starts).map(async ([name, start]) => Object.assign(started, { [name]: await start })),
  );
  const stop = async () => {
    await Promise.all(
      Object.values<Stoppable>(started as Servers).map((each) => each.stop({ signal: 'SIGKILL' })),
    );
  };
  const failure = results.find((result) => result.status === 'rejected');
  if (failure === undefined) return { ...(started as Servers), stop };
  await stop();
  throw failure.reason;
}

/** A private S3 server with its data below a folder. */
export function startS3(folder: string): Promise<EmbeddedS3> {
  const path = process.env.PATH ?? '';
  return startEmbeddedS3({ folder: join(folder, 's3'), logFolder: join(folder, 'logs'), path });
}

/** RabbitMQ, Redis and S3 with their data below a folder. */
export function startAllServers(folder: string) {
  return startTogether({
    rabbitMq: startTestedRabbitMq(join(folder, 'rabbitmq')),
    redis: startPrivateRedis({ folder: join(folder, 'redis'), path: process.env.PATH ?? '' }),
    s3: startS3(folder),
  });
}

/** Private servers with their data in a temporary folder; `stop` ends them and removes it. */
export async function startTestServers(): Promise<{ servers: TestServers; stop: () => Promise<void> }> {
  const folder = mkdtempSync(join(tmpdir(), 'redial-tests-'));
  const forget = () => rmSync(folder, { recursive: true, force: true });
  try {
    const started = await startAllServers(folder);
    const { rabbitMq, redis, s3 } = started;
    const servers = { ...addressesOf(rabbitMq, redis, s3), rabbitmqLogFile: rabbitMq.logFile, folder };
    return { servers, stop: () => started.stop().finally(forget) };
  } catch (error) {
    forget();
    throw error;
  }
}
