import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { findFreePorts } from '../free-ports.ts';
import { readOverview } from '../private/private-rabbitmq.ts';
import { rememberedPorts } from '../remembered-ports.ts';
import type { RunningServers, ServerAddress, ServerName } from '../server-addresses.ts';
import { answersAmqp, answersHttp, answersRedis } from '../server-probes.ts';
import { type Compose, findCompose } from './find-compose.ts';

interface ComposeServer {
  readonly name: ServerName;
  /** In docker-compose.yml. */
  readonly service: string;
  readonly address: ServerAddress;
  /** Asked from here, where the processes are that need it: the engine may be on another machine. */
  answers(): Promise<boolean>;
}

const readyWithinMs = 90_000;
// Those of .env, so that everything of a checkout has the same.
const credentials = { AWS_ACCESS_KEY_ID: 'S3RVER', AWS_SECRET_ACCESS_KEY: 'S3RVER' };

/**
 * The servers of docker-compose.yml as a Compose project of this checkout, on free ports, so that it meets neither a
 * `docker compose up` of the person nor another checkout; on those it had before where they are free. Undefined when there is no Docker, or, with a sentence, when
 * it cannot bring them up.
 */
export async function startComposeServers(options: {
  projectFolder: string;
  wanted: readonly ServerName[];
  say: (line: string) => void;
  shutdown: AbortSignal;
}): Promise<RunningServers | undefined> {
  const { projectFolder, wanted, say, shutdown } = options;
  if (!existsSync(join(projectFolder, 'docker-compose.yml'))) return undefined;
  const anyCompose = await findCompose();
  if (anyCompose === undefined) return undefined;
  const remembered = rememberedPorts(join(projectFolder, '.redial', 'ports.json'), 'compose');
  const ports = await findFreePorts(4, remembered.recall());
  const [amqp = 0, management = 0, redis = 0, s3 = 0] = ports;
  const compose = forProject(anyCompose, projectFolder, {
    RABBITMQ_PORT_HOST: String(amqp),
    RABBITMQ_MANAGEMENT_PORT_HOST: String(management),
    REDIS_PORT_HOST: String(redis),
    S3_PORT_HOST: String(s3),
  });
  const servers = serversAt(amqp, management, redis, s3).filter(({ name }) => wanted.includes(name));
  const stop = async () => {
    await compose(['down']);
  };

  say('Starting the servers with Docker Compose (the first time it fetches their images) …');
  const { code, output } = await compose(['up', '-d', ...servers.map(({ service }) => service)]);
  const problem = code === 0 ? await waitUntilReady(servers) : lastLineOf(output);
  if (problem !== undefined) {
    await stop();
    // A Ctrl-C ends Compose too, and is no reason to look elsewhere.
    shutdown.throwIfAborted();
    say(`Docker is here, but Compose could not start the servers (${problem}); looking elsewhere.`);
    return undefined;
  }
  remembered.keep(ports);
  return {
    addresses: Object.fromEntries(servers.map(({ name, address }) => [name, address])),
    origin: `Docker Compose, project ${nameProject(projectFolder)}`,
    stop,
  };
}

/** Forgets the data in the volumes of this checkout's Compose project. */
export async function removeComposeVolumes(projectFolder: string): Promise<void> {
  if (!existsSync(join(projectFolder, 'docker-compose.yml'))) return;
  const compose = await findCompose();
  if (compose !== undefined) await forProject(compose, projectFolder)(['down', '--volumes']);
}

function forProject(
  compose: Compose,
  projectFolder: string,
  ports: Readonly<Record<string, string>> = {},
): (args: readonly string[]) => ReturnType<Compose> {
  const env = {
    ...process.env,
    ...credentials,
    ...ports,
    // Whatever the environment or .env says for other servers.
    RABBITMQ_USER: 'guest',
    RABBITMQ_PASSWORD: 'guest',
    RABBITMQ_VHOST: '/',
    REDIS_PASSWORD: '',
  };
  const project = ['-f', 'docker-compose.yml', '-p', nameProject(projectFolder)];
  return (args) => compose([...project, ...args], { cwd: projectFolder, env });
}

function serversAt(amqp: number, management: number, redis: number, s3: number): ComposeServer[] {
  const amqpUrl = `amqp://guest:guest@127.0.0.1:${amqp}`;
  const managementUrl = `http://127.0.0.1:${management}`;
  const redisUrl = `redis://127.0.0.1:${redis}`;
  const s3Url = `http://127.0.0.1:${s3}`;
  return [
    {
      name: 'rabbitmq',
      service: 'rabbitmq',
      address: { RABBITMQ_URL: amqpUrl, RABBITMQ_MANAGEMENT_URL: managementUrl },
      answers: async () => (await answersAmqp(amqpUrl)) && (await readOverview(managementUrl)) !== undefined,
    },
    {
      name: 'redis',
      service: 'redis',
      address: { REDIS_URL: redisUrl },
      answers: () => answersRedis(redisUrl),
    },
    {
      name: 's3',
      service: 'seaweedfs',
      address: { AWS_ENDPOINT_URL: s3Url, ...credentials, AWS_REGION: 'us-east-1' },
      answers: () => answersHttp(s3Url),
    },
  ];
}

/** @returns what is missing, as part of a sentence, when it takes too long */
async function waitUntilReady(servers: readonly ComposeServer[]): Promise<string | undefined> {
  const deadline = Date.now() + readyWithinMs;
  for (const { service, answers } of servers) {
    while (!(await answers())) {
      if (Date.now() > deadline) return `${service} did not answer within ${readyWithinMs / 1_000} s`;
      await sleep(200);
    }
  }
  return undefined;
}

function lastLineOf(output: string): string {
  return output.trim().split('\n').at(-1)?.trim() ?? '';
}

function nameProject(projectFolder: string): string {
  return `redial-${createHash('sha256').update(projectFolder).digest('hex').slice(0, 8)}`;
}
