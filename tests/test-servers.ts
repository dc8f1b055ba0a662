import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startEmbeddedS3 } from '../scripts/servers/embedded-s3.ts';
import { startPrivateRedis } from '../scripts/servers/private-redis.ts';
import type { PrivateServer } from '../scripts/servers/restartable-server.ts';
import { startTestedRabbitMq } from '../shared/testing/tested-rabbitmq.ts';

/** The servers of a test run, shared by all of it: each pipeline takes a QUEUE_NAME and a bucket of its own. */
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

/** Private servers with their data in a temporary folder; `stop` ends them and removes it. */
export async function startTestServers(): Promise<{ servers: TestServers; stop: () => Promise<void> }> {
  const folder = mkdtempSync(join(tmpdir(), 'redial-tests-'));
  const path = process.env.PATH ?? '';
  const started: PrivateServer[] = [];
  const keep = <T extends PrivateServer>(server: T): T => {
    started.push(server);
    return server;
  };
  const stop = async () => {
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
    const servers: TestServers = {
      rabbitmqUrl: rabbitMq.amqpUrl,
      managementUrl: rabbitMq.managementUrl,
      rabbitmqLogFile: rabbitMq.logFile,
      redisUrl: redis.url,
      s3Endpoint: s3.endpoint,
      s3AccessKeyId: s3.accessKeyId,
      s3SecretAccessKey: s3.secretAccessKey,
      folder,
    };
    return { servers, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
