import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { z } from 'zod';
import { ServerUnavailableError } from '../../shared/errors.ts';
import { withFreePorts } from './free-ports.ts';
import { findRabbitMq, type RabbitMqPrograms } from './installed-programs.ts';
import {
  describeAdvancedConfig,
  describeEnvironment,
  enabledPlugins,
  type RabbitMqPorts,
} from './rabbitmq-configuration.ts';
import { type PrivateServer, RestartableServer } from './restartable-server.ts';

export interface PrivateRabbitMq extends PrivateServer {
  readonly amqpUrl: string;
  readonly managementUrl: string;
  readonly ports: RabbitMqPorts;
  readonly nodeName: string;
  readonly logFile: string;
  /** Runs `rabbitmqctl` against this node; resolves with what it printed, throws when it failed. */
  rabbitmqctl(...args: string[]): Promise<string>;
}

// Each instance has an epmd of its own, so they may all have the same name, and a folder keeps its data.
const nodeName = 'redial@localhost';
const overviewShape = z.object({ node: z.string(), rabbitmq_version: z.string() });

/**
 * A RabbitMQ of our own, with its data, logs, cookie and epmd: the system's broker and epmd are never touched, and
 * nothing of it is left when we end. Without `ports`, free ones are found.
 */
export async function startPrivateRabbitMq(options: {
  folder: string;
  path: string;
  ports?: RabbitMqPorts;
}): Promise<PrivateRabbitMq> {
  const folder = resolve(options.folder);
  const programs = findRabbitMq(options.path);
  if (programs === undefined)
    throw new ServerUnavailableError('no rabbitmq-server with its rabbitmqctl and epmd was found', {
      isRefusal: true,
    });
  const place = { folder, path: options.path, programs };
  if (options.ports !== undefined) return startOn(options.ports, place);
  return withFreePorts(4, ([amqp = 0, management = 0, distribution = 0, epmd = 0]) =>
    startOn({ amqp, management, distribution, epmd }, place),
  );
}

async function startOn(
  ports: RabbitMqPorts,
  { folder, path, programs }: { folder: string; path: string; programs: RabbitMqPrograms },
): Promise<PrivateRabbitMq> {
  const env = describeEnvironment(folder, nodeName, ports, path);
  const logFile = join(folder, 'rabbitmq.log');
  const managementUrl = `http://127.0.0.1:${ports.management}`;
  writeConfiguration(folder, ports);

  const epmd = new RestartableServer({
    name: 'epmd',
    command: programs.epmd,
    args: ['-port', String(ports.epmd), '-address', '127.0.0.1'],
    env,
    folder,
    logFile: join(folder, 'epmd.log'),
    isReady: () => accepts(ports.epmd),
    readyWithinMs: 10_000,
    endsWithinMs: 1_000,
  });
  const broker = new RestartableServer({
    name: 'RabbitMQ',
    command: programs.server,
    args: [],
    env,
    folder,
    logFile,
    isReady: async () =>
      (await accepts(ports.amqp)) && (await readOverview(managementUrl))?.node === nodeName,
    readyWithinMs: 90_000,
    endsWithinMs: 30_000,
  });

  const server: PrivateRabbitMq = {
    amqpUrl: `amqp://guest:guest@127.0.0.1:${ports.amqp}`,
    managementUrl,
    ports,
    nodeName,
    logFile,
    get pid() {
      return broker.pid;
    },
    async start() {
      if (epmd.pid === undefined) await epmd.start();
      await broker.start().catch(async (error: unknown) => {
        await epmd.stop();
        throw error;
      });
    },
    async stop(stopOptions) {
      await broker.stop(stopOptions);
      await epmd.stop();
    },
    async rabbitmqctl(...args) {
      const { stdout } = await promisify(execFile)(programs.control, ['-n', nodeName, ...args], { env });
      return stdout;
    },
  };
  await server.start();
  return server;
}

function writeConfiguration(folder: string, ports: RabbitMqPorts): void {
  for (const name of ['home', 'data', 'log']) mkdirSync(join(folder, name), { recursive: true });
  writeFileSync(join(folder, 'advanced.config'), describeAdvancedConfig(ports));
  writeFileSync(join(folder, 'enabled_plugins'), enabledPlugins);
  const cookieFile = join(folder, 'home', '.erlang.cookie');
  if (!existsSync(cookieFile)) writeFileSync(cookieFile, randomBytes(24).toString('hex'), { mode: 0o400 });
}

/** What the management API says about itself, or undefined when it does not answer guest. */
export async function readOverview(
  managementUrl: string,
): Promise<{ node: string; rabbitmq_version: string } | undefined> {
  try {
    const response = await fetch(`${managementUrl}/api/overview`, {
      headers: { authorization: `Basic ${Buffer.from('guest:guest').toString('base64')}` },
      signal: AbortSignal.timeout(2_000),
    });
    return overviewShape.parse(await response.json());
  } catch {
    return undefined;
  }
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    const answer = (isAccepted: boolean) => {
      socket.destroy();
      resolve(isAccepted);
    };
    socket.once('connect', () => answer(true));
    socket.once('error', () => answer(false));
  });
}
