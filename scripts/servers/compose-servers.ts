import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { findFreePorts } from './free-ports.ts';
import { runCommand } from './run-command.ts';
import type { RunningServers, ServerName } from './server-addresses.ts';

const serviceNames: Readonly<Record<ServerName, string>> = {
  rabbitmq: 'rabbitmq',
  redis: 'redis',
  s3: 'seaweedfs',
};
const credentials = { AWS_ACCESS_KEY_ID: 'redial', AWS_SECRET_ACCESS_KEY: 'redial-secret' };

/** Whether there is a Docker engine with Compose v2 that we may use. */
export async function isComposeUsable(projectFolder: string): Promise<boolean> {
  if (!existsSync(join(projectFolder, 'docker-compose.yml'))) return false;
  if ((await runCommand('docker', ['compose', 'version'])).code !== 0) return false;
  return (await runCommand('docker', ['info'])).code === 0;
}

/**
 * The services of docker-compose.yml as a Compose project of this checkout, on free ports, so that it meets neither a
 * `docker compose up` of the person nor another checkout. Undefined, with a sentence, when it cannot be had.
 */
export async function startComposeServers(
  projectFolder: string,
  wanted: readonly ServerName[],
  say: (line: string) => void,
): Promise<RunningServers | undefined> {
  const [amqp = 0, management = 0, redis = 0, s3 = 0] = await findFreePorts(4);
  const compose = (...args: string[]) =>
    runCommand('docker', ['compose', '-p', nameProject(projectFolder), ...args], {
      folder: projectFolder,
      env: {
        ...process.env,
        ...credentials,
        RABBITMQ_PORT_HOST: String(amqp),
        RABBITMQ_MANAGEMENT_PORT_HOST: String(management),
        REDIS_PORT_HOST: String(redis),
        S3_PORT_HOST: String(s3),
      },
    });
  const { code, output } = await compose('up', '-d', '--wait', ...wanted.map((name) => serviceNames[name]));
  if (code !== 0) {
    await compose('down');
    const reason = output.trim().split('\n').at(-1) ?? '';
    say(`Docker is here, but Compose could not start the servers (${reason}); looking elsewhere.`);
    return undefined;
  }
  const all = {
    rabbitmq: {
      RABBITMQ_URL: `amqp://guest:guest@127.0.0.1:${amqp}`,
      RABBITMQ_MANAGEMENT_URL: `http://127.0.0.1:${management}`,
    },
    redis: { REDIS_URL: `redis://127.0.0.1:${redis}` },
    s3: { AWS_ENDPOINT_URL: `http://127.0.0.1:${s3}`, ...credentials, AWS_REGION: 'us-east-1' },
  };
  return {
    addresses: Object.fromEntries(wanted.map((name) => [name, all[name]])),
    origin: `Docker Compose, project ${nameProject(projectFolder)}`,
    stop: async () => {
      await compose('down');
    },
  };
}

/** Forgets the data in the volumes of this checkout's Compose project. */
export async function removeComposeVolumes(projectFolder: string): Promise<void> {
  await runCommand('docker', ['compose', '-p', nameProject(projectFolder), 'down', '--volumes'], {
    folder: projectFolder,
  });
}

function nameProject(projectFolder: string): string {
  return `redial-${createHash('sha256').update(projectFolder).digest('hex').slice(0, 8)}`;
}
