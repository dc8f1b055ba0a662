import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { z } from 'zod';
import { ServerUnavailableError } from '../../../shared/errors.ts';
import { makePrivateFolder } from '../../commands/private-folder.js';
import { withFreePorts } from '../free-ports.ts';
import { findRabbitMq, type RabbitMqPrograms } from '../programs/installed-programs.ts';
import { type PrivateServer, RestartableServer } from '../programs/restartable-server.ts';
import type { RememberedPorts } from '../remembered-ports.ts';
import { answersHttp } from '../server-probes.ts';
import {
  brokerEnvironmentOf,
  enabledPlugins,
  type RabbitMqPorts,
  renderAdvancedConfig,
  type ServerCertificate,
} from './rabbitmq-configuration.ts';

export interface PrivateRabbitMq extends PrivateServer {
  readonly amqpUrl: string;
  readonly managementUrl: string;
  readonly ports: RabbitMqPorts;
  readonly nodeName: string;
  readonly logFile: string;
  /** Runs `rabbitmqctl` against this node; resolves with what it printed, throws when it failed. */
  rabbitmqctl(...args: string[]): Promise<string>;
  /** The same with `rabbitmq-queues`. */
  rabbitmqQueues(...args: string[]): Promise<string>;
}

/** A node and where all that belongs to it is. */
export interface NodePlace {
  readonly folder: string;
  readonly path: string;
  readonly programs: RabbitMqPrograms;
  readonly ports: RabbitMqPorts;
  readonly nodeName: string;
  /** What nodes of a cluster tell each other to be let in. */
  readonly cookie?: string;
  /** The names of all nodes of its cluster, itself included. */
  readonly clusterNodes?: readonly string[];
  /** What it takes in one message; 16 MiB unless told otherwise. */
  readonly maxMessageBytes?: number | undefined;
  /** With it AMQP and the management API speak TLS, and nothing else. */
  readonly certificate?: ServerCertificate | undefined;
}

// Each instance has an epmd of its own, so they may all have the same name, and a folder keeps its data.
const nodeName = 'redial@localhost';
const overviewShape = z.object({ node: z.string(), rabbitmq_version: z.string() });
const nodesShape = z.array(z.object({ name: z.string(), running: z.boolean() }));

/**
 * A RabbitMQ of our own, with its data, logs, cookie and epmd: the system's broker and epmd are never touched, and
 * nothing of it is left when we end. Without `programs` it is the one installed on this machine; without `ports`,
 * free ones are found.
 */
export async function startPrivateRabbitMq(options: {
  folder: string;
  path: string;
  programs?: RabbitMqPrograms;
  remembered?: RememberedPorts;
  maxMessageBytes?: number | undefined;
  certificate?: ServerCertificate | undefined;
}): Promise<PrivateRabbitMq> {
  const folder = resolve(options.folder);
  const programs = options.programs ?? requireRabbitMq(options.path);
  const { path, maxMessageBytes, certificate } = options;
  const place = { folder, path, programs, nodeName, maxMessageBytes, certificate };
  return withFreePorts(
    4,
    ([amqp = 0, management = 0, distribution = 0, epmd = 0]) =>
      startAlone({ ...place, ports: { amqp, management, distribution, epmd } }),
    options.remembered,
  );
}

/** @throws ServerUnavailableError where there is none */
export function requireRabbitMq(path: string): RabbitMqPrograms {
  const programs = findRabbitMq(path);
  if (programs !== undefined) return programs;
  throw new ServerUnavailableError('no rabbitmq-server with its rabbitmqctl and epmd was found', {
    isRefusal: true,
  });
}

async function startAlone(place: NodePlace): Promise<PrivateRabbitMq> {
  const epmd = createEpmd(place);
  const node = createNode(place);
  const server: PrivateRabbitMq = {
    ...node,
    get pid() {
      return node.pid;
    },
    async start() {
      if (epmd.pid === undefined) await epmd.start();
      await node.start().catch(async (error: unknown) => {
        await epmd.stop();
        throw error;
      });
    },
    async stop(stopOptions) {
      await node.stop(stopOptions);
      await epmd.stop();
    },
  };
  await server.start();
  return server;
}

/** The name server of one node or of all nodes of a cluster; not started. */
export function createEpmd({ folder, path, programs, ports }: Omit<NodePlace, 'nodeName'>): PrivateServer {
  return new RestartableServer({
    name: 'epmd',
    command: programs.epmd,
    args: ['-port', String(ports.epmd), '-address', '127.0.0.1'],
    env: brokerEnvironmentOf(folder, nodeName, ports, path),
    folder,
    logFile: join(folder, 'epmd.log'),
    isReady: () => accepts(ports.epmd),
    readyWithinMs: 10_000,
    endsWithinMs: 1_000,
  });
}

/** A node, configured and not started; its epmd must run before it. */
export function createNode(place: NodePlace): PrivateRabbitMq {
  const { folder, path, programs, ports } = place;
  const env = brokerEnvironmentOf(folder, place.nodeName, ports, path);
  const logFile = join(folder, 'rabbitmq.log');
  const tls = place.certificate === undefined ? '' : 's';
  const amqpUrl = `amqp${tls}://guest:guest@127.0.0.1:${ports.amqp}`;
  const managementUrl = `http${tls}://127.0.0.1:${ports.management}`;
  writeConfiguration(place);
  const broker = new RestartableServer({
    name: 'RabbitMQ',
    command: programs.server,
    args: [],
    env,
    folder,
    logFile,
    isReady: async () =>
      (await accepts(ports.amqp)) &&
      (place.certificate === undefined
        ? (await readOverview(managementUrl))?.node === place.nodeName
        : await answersHttp(managementUrl)),
    readyWithinMs: 90_000,
    endsWithinMs: 30_000,
  });
  const run = async (program: string, args: readonly string[]) => {
    const { stdout } = await promisify(execFile)(program, ['-n', place.nodeName, ...args], { env });
    return stdout;
  };
  return Object.assign(broker, {
    amqpUrl,
    managementUrl,
    ports,
    nodeName: place.nodeName,
    logFile,
    rabbitmqctl: (...args: string[]) => run(programs.control, args),
    rabbitmqQueues: (...args: string[]) => run(programs.queues, args),
  });
}

function writeConfiguration(place: NodePlace): void {
  const { folder, ports, clusterNodes, cookie, maxMessageBytes, certificate } = place;
  for (const name of ['.', 'home', 'data', 'log']) makePrivateFolder(join(folder, name));
  const forOwnerOnly = { mode: 0o600 };
  const advancedConfig = renderAdvancedConfig(ports, clusterNodes, maxMessageBytes, certificate);
  writeFileSync(join(folder, 'advanced.config'), advancedConfig, forOwnerOnly);
  writeFileSync(join(folder, 'enabled_plugins'), enabledPlugins, forOwnerOnly);
  const cookieFile = join(folder, 'home', '.erlang.cookie');
  if (!existsSync(cookieFile)) writeFileSync(cookieFile, cookie ?? createCookie(), { mode: 0o400 });
}

/** A new secret for the nodes of a cluster. */
export function createCookie(): string {
  return randomBytes(24).toString('hex');
}

/** What the management API says about itself, or undefined when it does not answer guest. */
export async function readOverview(
  managementUrl: string,
): Promise<{ node: string; rabbitmq_version: string } | undefined> {
  return overviewShape.safeParse(await ask(`${managementUrl}/api/overview`)).data;
}

/** The names of the nodes that run, as one of them sees it. */
export async function readRunningNodes(managementUrl: string): Promise<string[]> {
  const nodes = nodesShape.safeParse(await ask(`${managementUrl}/api/nodes?columns=name,running`)).data ?? [];
  return nodes.filter(({ running }) => running).map(({ name }) => name);
}

async function ask(url: string): Promise<unknown> {
  try {
    const response = await fetch(url, {
      headers: { authorization: `Basic ${Buffer.from('guest:guest').toString('base64')}` },
      signal: AbortSignal.timeout(2_000),
    });
    return await response.json();
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
