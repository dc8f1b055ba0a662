import { join } from 'node:path';
import { ServerUnavailableError } from '../../../shared/errors.ts';
import { makePrivateFolder } from '../../commands/private-folder.js';
import { canInstallPackages, installPackages } from '../programs/install-packages.ts';
import { findProgram, findRabbitMq } from '../programs/installed-programs.ts';
import type { PrivateServer } from '../programs/restartable-server.ts';
import { rememberedPorts } from '../remembered-ports.ts';
import {
  type RunningServers,
  SERVER_TITLES,
  type ServerAddress,
  type ServerName,
} from '../server-addresses.ts';
import { startEmbeddedS3 } from './embedded-s3.ts';
import { readOverview, startPrivateRabbitMq } from './private-rabbitmq.ts';
import { startPrivateRedis } from './private-redis.ts';

const packagesOf = {
  ...{ rabbitmq: 'rabbitmq-server', redis: 'redis-server' },
  // Tests alone want these.
  ...{ prometheus: 'prometheus', openssl: 'openssl', shellcheck: 'shellcheck' },
} as const;
type Packaged = keyof typeof packagesOf;
const TITLES: Readonly<Record<Packaged, string>> = {
  ...SERVER_TITLES,
  ...{ prometheus: 'Prometheus', openssl: 'OpenSSL', shellcheck: 'ShellCheck' },
};

/** The wanted servers as private instances with their data under `folder`, on free ports: those they had, if they can. */
export async function startPrivateServers(options: {
  folder: string;
  path: string;
  wanted: readonly ServerName[];
}): Promise<RunningServers> {
  const { folder, path, wanted } = options;
  makePrivateFolder(folder);
  const objectsFolder = join(folder, 's3');
  const started: PrivateServer[] = [];
  const keep = <T extends PrivateServer>(server: T): T => {
    started.push(server);
    return server;
  };
  const stop = async () => {
    await Promise.all(started.map((server) => server.stop()));
  };
  const optionsOf = (name: ServerName) => ({
    path,
    remembered: rememberedPorts(join(folder, 'ports.json'), name),
  });
  const starters: Record<ServerName, () => Promise<ServerAddress>> = {
    rabbitmq: async () => {
      const server = keep(
        await startPrivateRabbitMq({ ...optionsOf('rabbitmq'), folder: join(folder, 'rabbitmq') }),
      );
      await requireVersion(server.managementUrl);
      return { RABBITMQ_URL: server.amqpUrl, RABBITMQ_MANAGEMENT_URL: server.managementUrl };
    },
    redis: async () => ({
      REDIS_URL: keep(await startPrivateRedis({ ...optionsOf('redis'), folder: join(folder, 'redis') })).url,
    }),
    s3: async () => {
      const server = keep(
        await startEmbeddedS3({ ...optionsOf('s3'), folder: objectsFolder, logFolder: join(folder, 'logs') }),
      );
      return {
        AWS_ENDPOINT_URL: server.endpoint,
        AWS_ACCESS_KEY_ID: server.accessKeyId,
        AWS_SECRET_ACCESS_KEY: server.secretAccessKey,
        AWS_REGION: 'us-east-1',
      };
    },
  };

  const addresses: Partial<Record<ServerName, ServerAddress>> = {};
  const starts = wanted.map(async (name) => {
    addresses[name] = await starters[name]();
  });
  const failures = (await Promise.allSettled(starts)).filter((result) => result.status === 'rejected');
  if (failures[0] !== undefined) {
    await stop();
    throw failures[0].reason;
  }
  return {
    addresses,
    origin: 'private instances, data in .redial/',
    ...(wanted.includes('s3') ? { objectsFolder } : {}),
    stop,
  };
}

/** Installs the packages of what is wanted and missing. @throws ServerUnavailableError */
export async function ensurePrograms(
  wanted: readonly (ServerName | Packaged)[],
  path: string,
  say: (line: string) => void,
): Promise<void> {
  const missing = findMissing(wanted, path);
  if (missing.length === 0) return;
  const packages = missing.map((name) => packagesOf[name]);
  if (await canInstallPackages()) {
    say(`Installing ${packages.join(' and ')} with apt-get (no system service is started or left enabled) …`);
    await installPackages(packages);
  }
  const stillMissing = findMissing(wanted, path);
  if (stillMissing.length > 0) throw missingProgramsError(stillMissing);
}

function findMissing(wanted: readonly (ServerName | Packaged)[], path: string): Packaged[] {
  const programs = {
    rabbitmq: findRabbitMq(path),
    redis: findProgram('redis-server', path),
    prometheus: findProgram('promtool', path),
    openssl: findProgram('openssl', path),
    shellcheck: findProgram('shellcheck', path),
  };
  const names = ['rabbitmq', 'redis', 'prometheus', 'openssl', 'shellcheck'] as const;
  return names.filter((name) => wanted.includes(name) && programs[name] === undefined);
}

function missingProgramsError(missing: readonly Packaged[]): ServerUnavailableError {
  const titles = missing.map((name) => TITLES[name]).join(' and ');
  const packages = missing.map((name) => packagesOf[name]).join(' ');
  return new ServerUnavailableError(
    `No ${titles} to be had: the environment names none that answers, Docker with Compose cannot be used, no such server is
installed, and apt-get cannot be used here (Debian or Ubuntu, as root or with sudo without a password).
Install what is missing:
  Debian, Ubuntu:  sudo apt-get update && sudo apt-get install --no-install-recommends ${packages}
  macOS:           brew install ${missing.join(' ')}
or start Docker, or say where servers are:
  RABBITMQ_URL=amqp://user:password@host REDIS_URL=redis://host npm start`,
    { isRefusal: true },
  );
}

/** Quorum queues dead-letter at least once since 3.10; an older broker would lose retries. */
async function requireVersion(managementUrl: string): Promise<void> {
  const version = (await readOverview(managementUrl))?.rabbitmq_version ?? 'of an unknown version';
  const [major = 0, minor = 0] = version.split('.').map(Number);
  if (major > 3 || (major === 3 && minor >= 10)) return;
  throw new ServerUnavailableError(
    `The RabbitMQ on this machine is ${version}, Redial needs 3.10 or newer: install a newer one, start Docker, or set RABBITMQ_URL.`,
    { isRefusal: true },
  );
}
