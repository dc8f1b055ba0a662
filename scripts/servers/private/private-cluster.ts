import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { makePrivateFolder } from '../../commands/private-folder.js';
import { withFreePorts } from '../free-ports.ts';
import type { RabbitMqPrograms } from '../programs/installed-programs.ts';
import { ServerStartError } from '../server-start-error.ts';
import {
  createCookie,
  createEpmd,
  createNode,
  type PrivateRabbitMq,
  readRunningNodes,
  requireRabbitMq,
} from './private-rabbitmq.ts';

export interface PrivateCluster {
  /** Each is stopped and started on its own. */
  readonly nodes: readonly PrivateRabbitMq[];
  /** Ends all nodes at once; their data is thrown away. */
  stop(): Promise<void>;
}

const FORMED_WITHIN_MS = 60_000;

/** Some RabbitMQ nodes on this machine that are one cluster, with an epmd and a cookie of their own. */
export async function startPrivateCluster(options: {
  folder: string;
  path: string;
  size: number;
  programs?: RabbitMqPrograms;
}): Promise<PrivateCluster> {
  const { path, size, programs = requireRabbitMq(path) } = options;
  const folder = resolve(options.folder);
  const place = { folder, path, programs };
  const cookie = createCookie();
  const clusterNodes = Array.from({ length: size }, (_, index) => `redial${index + 1}@localhost`);
  return withFreePorts(1 + 3 * size, async ([epmdPort = 0, ...nodePorts]) => {
    const nodes = clusterNodes.map((nodeName, index) => {
      const [amqp = 0, management = 0, distribution = 0] = nodePorts.slice(3 * index, 3 * index + 3);
      const ports = { amqp, management, distribution, epmd: epmdPort };
      return createNode({
        ...place,
        folder: join(folder, `node-${index + 1}`),
        ports,
        nodeName,
        cookie,
        clusterNodes,
      });
    });
    makePrivateFolder(folder);
    const epmd = createEpmd({ ...place, ports: { amqp: 0, management: 0, distribution: 0, epmd: epmdPort } });
    const stop = async () => {
      await Promise.all(nodes.map((node) => node.stop({ signal: 'SIGKILL' })));
      await epmd.stop();
    };
    try {
      await epmd.start();
      await Promise.all(nodes.map((node) => node.start()));
      await untilFormed(nodes);
      return { nodes, stop };
    } catch (error) {
      await stop();
      throw error;
    }
  });
}

/** Nodes that start at the same time wait for each other to form the cluster; each must see all of them then. */
async function untilFormed(nodes: readonly PrivateRabbitMq[]): Promise<void> {
  const deadline = Date.now() + FORMED_WITHIN_MS;
  while (Date.now() < deadline) {
    const seen = await Promise.all(nodes.map(({ managementUrl }) => readRunningNodes(managementUrl)));
    if (seen.every((running) => running.length === nodes.length)) return;
    await sleep(200);
  }
  throw new ServerStartError(
    'NOT_STARTED',
    `the ${nodes.length} RabbitMQ nodes formed no cluster within ${FORMED_WITHIN_MS / 1_000} s; the log of the first: ${nodes[0]?.logFile}`,
  );
}
