import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { startEmbeddedS3 } from '../scripts/servers/embedded-s3.ts';
import { startPrivateRedis } from '../scripts/servers/private-redis.ts';
import type { PrivateServer } from '../scripts/servers/restartable-server.ts';
import { startTestedRabbitMq } from '../shared/testing/tested-rabbitmq.ts';

/** The servers of this test run, shared by its files: each takes a QUEUE_NAME and a bucket of its own. */
export interface TestServers {
  readonly rabbitmqUrl: string;
  readonly managementUrl: string;
  readonly rabbitmqLogFile: string;
  readonly redisUrl: string;
  readonly s3Endpoint: string;
  readonly s3AccessKeyId: string;
  readonly s3SecretAccessKey: string;
  /** A temporary folder that is removed after the run. */
  readonly folder: string;
}

declare module 'vitest' {
  interface ProvidedContext {
    servers: TestServers;
  }
}

export default async function setUp(project: TestProject): Promise<() => Promise<void>> {
  const folder = mkdtempSync(join(tmpdir(), 'redial-tests-'));
  const path = process.env.PATH ?? '';
  const started: PrivateServer[] = [];
  const keep = <T extends PrivateServer>(server: T): T => {
    started.push(server);
    return server;
  };
  const tearDown = async () => {
    // The data is thrown away: nobody needs to shut down in order.
    await Promise.all(started.map((server) => server.stop({ signal: 'SIGKILL' })));
    rmSync(folder, { recursive: true, force: true });
  };

  try {
    const [rabbitMq, redis, s3] = await Promise.all([
      startTestedRabbitMq(join(folder, 'rabbitmq')).then(keep),
      startPrivateRedis({ folder: join(folder, 'redis'), path }).then(keep),
      startEmbeddedS3({ folder: join(folder, 's3'), logFolder: join(folder, 'logs'), path }).then(keep),
    ]);
    project.provide('servers', {
      rabbitmqUrl: rabbitMq.amqpUrl,
      managementUrl: rabbitMq.managementUrl,
      rabbitmqLogFile: rabbitMq.logFile,
      redisUrl: redis.url,
      s3Endpoint: s3.endpoint,
      s3AccessKeyId: s3.accessKeyId,
      s3SecretAccessKey: s3.secretAccessKey,
      folder,
    });
    return tearDown;
  } catch (error) {
    await tearDown();
    throw error;
  }
}
