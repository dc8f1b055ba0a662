import { resolve } from 'node:path';
import { loadConfig } from '../../shared/process/config/config.ts';
import { rabbitmqUrlsOf } from '../../shared/process/config/rabbitmq.ts';
import { redisUrlOf } from '../../shared/process/config/redis.ts';
import type { Environment } from '../../shared/process/environment.ts';
import {
  type RunningServers,
  SERVER_TITLES,
  type ServerAddress,
  type ServerName,
} from './server-addresses.ts';
import { answersAmqp, answersHttp, answersRedis } from './server-probes.ts';

interface GivenServer {
  readonly name: ServerName;
  /** The variables of which one must be set. */
  readonly saidBy: readonly string[];
  readonly address: ServerAddress;
  answers(): Promise<boolean>;
}

/**
 * The servers whose addresses the person set in the environment and that answer. `.env` does not count: it comes with
 * the checkout and describes the servers of everyday use.
 * @throws ConfigurationError for an address that is none
 */
export async function findGivenServers(
  environment: Environment,
  say: (line: string) => void,
): Promise<RunningServers> {
  const addresses: Partial<Record<ServerName, ServerAddress>> = {};
  for (const server of givenServersOf(environment)) {
    const saidBy = server.saidBy.find((name) => (environment[name] ?? '') !== '');
    if (saidBy === undefined) continue;
    if (await server.answers()) addresses[server.name] = server.address;
    else say(`${saidBy} is set, but no ${SERVER_TITLES[server.name]} answers there; looking elsewhere.`);
  }
  return { addresses, origin: 'as the environment says', stop: async () => {} };
}

function givenServersOf(environment: Environment): GivenServer[] {
  const config = loadConfig(environment);
  const amqpUrls = rabbitmqUrlsOf(config);
  const redisUrl = redisUrlOf(config);
  const management = config.rabbitmqManagementUrl;
  return [
    {
      name: 'rabbitmq',
      saidBy: ['RABBITMQ_URL', 'RABBITMQ_URL_FILE', 'RABBITMQ_HOST'],
      address: {
        RABBITMQ_URL: amqpUrls.join(','),
        ...filesIn(environment, 'RABBITMQ_CA_FILE'),
        ...(management === undefined ? {} : { RABBITMQ_MANAGEMENT_URL: management.join(',') }),
      },
      answers: async () => (await Promise.all(amqpUrls.map(answersAmqp))).includes(true),
    },
    {
      name: 'redis',
      saidBy: ['REDIS_URL', 'REDIS_URL_FILE', 'REDIS_HOST'],
      address: { REDIS_URL: redisUrl, ...filesIn(environment, 'REDIS_CA_FILE') },
      answers: () => answersRedis(redisUrl),
    },
    {
      // Credentials alone do not count: nobody should find a rehearsal in a real bucket.
      name: 's3',
      saidBy: ['AWS_ENDPOINT_URL'],
      address: s3AddressIn(environment),
      answers: () => answersHttp(config.awsEndpointUrl ?? ''),
    },
  ];
}

/** With the account, as the URLs of the other servers have it. */
function s3AddressIn(environment: Environment): ServerAddress {
  const names = ['AWS_REGION', 'AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN'];
  const given = ['AWS_ENDPOINT_URL', ...names, ...names.map((name) => `${name}_FILE`)]
    .map((name) => [name, environment[name] ?? ''] as const)
    .filter(([, value]) => value !== '');
  return { ...Object.fromEntries(given), ...filesIn(environment, 'AWS_CA_BUNDLE') };
}

/** What names a file, for commands in any folder. */
function filesIn(environment: Environment, name: string): ServerAddress {
  const path = environment[name] ?? '';
  return path === '' ? {} : { [name]: resolve(path) };
}
