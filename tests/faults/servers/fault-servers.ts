import { join } from 'node:path';
import type { EmbeddedS3 } from '../../../scripts/servers/private/embedded-s3.ts';
import type { PrivateRabbitMq } from '../../../scripts/servers/private/private-rabbitmq.ts';
import { startS3, startTogether } from '../../kit/process/test-servers.ts';
import { ManagementApi } from '../../kit/rabbitmq/management-api.ts';
import { startTestedCluster, startTestedRabbitMq } from '../../kit/rabbitmq/tested-rabbitmq.ts';

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

/** @param nodeCount more than one: RabbitMQ is a cluster of that many nodes */
export async function startFaultServers(
  folder: string,
  programFolder: string,
  nodeCount = 1,
): Promise<FaultServers> {
  const place = join(folder, 'rabbitmq');
  const broker = nodeCount === 1 ? startTestedRabbitMq(place) : startTestedCluster(place, nodeCount);
  const started = await startTogether({ broker, s3: startS3(folder) });
  const cluster = 'nodes' in started.broker ? { nodes: started.broker.nodes } : {};
  const [rabbitMq] = (cluster.nodes ?? [started.broker]) as [PrivateRabbitMq];
  const api = new ManagementApi(rabbitMq.managementUrl);
  return { rabbitMq, ...cluster, api, s3: started.s3, programFolder, folder, stop: started.stop };
}
