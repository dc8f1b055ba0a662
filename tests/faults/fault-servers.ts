import { cpSync, mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { type EmbeddedS3, startEmbeddedS3 } from '../../scripts/servers/embedded-s3.ts';
import type { PrivateRabbitMq } from '../../scripts/servers/private-rabbitmq.ts';
import type { PrivateServer } from '../../scripts/servers/restartable-server.ts';
import { ManagementApi } from '../../shared/testing/management-api.ts';
import { startTestedCluster, startTestedRabbitMq } from '../../shared/testing/tested-rabbitmq.ts';

/** The servers that runs share, and the built programs they start. */
export interface FaultServers {
  readonly rabbitMq: PrivateRabbitMq;
  /** The nodes where RabbitMQ is a cluster; then `rabbitMq` is the first of them. */
  readonly nodes?: readonly PrivateRabbitMq[];
  readonly api: ManagementApi;
  readonly s3: EmbeddedS3;
  /** Holds `dist`: what is built again meanwhile must not be mixed into a run. */
  readonly programFolder: string;
  readonly folder: string;
  stop(): Promise<void>;
}

/** Copies what is built to where nobody builds. */
export function copyPrograms(projectFolder: string, folder: string): string {
  mkdirSync(folder, { recursive: true });
  cpSync(join(projectFolder, 'dist'), join(folder, 'dist'), { recursive: true });
  cpSync(join(projectFolder, 'package.json'), join(folder, 'package.json'));
  symlinkSync(join(projectFolder, 'node_modules'), join(folder, 'node_modules'));
  return folder;
}

/** @param nodeCount more than one: RabbitMQ is a cluster of that many nodes */
export async function startFaultServers(
  folder: string,
  programFolder: string,
  nodeCount = 1,
): Promise<FaultServers> {
  const path = process.env.PATH ?? '';
  const started: Pick<PrivateServer, 'stop'>[] = [];
  const keep = <T extends Pick<PrivateServer, 'stop'>>(server: T): T => {
    started.push(server);
    return server;
  };
  // Their data is thrown away: nobody needs to shut down in order.
  const stop = async () => {
    await Promise.all(started.map((server) => server.stop({ signal: 'SIGKILL' })));
  };
  const startRabbitMq = async (): Promise<readonly PrivateRabbitMq[]> => {
    const place = join(folder, 'rabbitmq');
    if (nodeCount === 1) return [keep(await startTestedRabbitMq(place))];
    return keep(await startTestedCluster(place, nodeCount)).nodes;
  };
  try {
    const [nodes, s3] = await Promise.all([
      startRabbitMq(),
      startEmbeddedS3({ folder: join(folder, 's3'), logFolder: join(folder, 'logs'), path }).then(keep),
    ]);
    const [rabbitMq] = nodes as [PrivateRabbitMq];
    const cluster = nodeCount === 1 ? {} : { nodes };
    const api = new ManagementApi(rabbitMq.managementUrl);
    return { rabbitMq, ...cluster, api, s3, programFolder, folder, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
