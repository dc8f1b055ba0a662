import { inspectQueues } from '../../shared/adapters/rabbitmq/inspect-queue.ts';
import { ManagementQueueReader } from '../../shared/adapters/rabbitmq/management-queues.ts';
import { LANES } from '../../shared/domain/topology/lanes.ts';
import {
  isWaitingQueue,
  parseWorkQueueName,
  queueNameOf,
  topologyOf,
} from '../../shared/domain/topology/topology.ts';
import type { Logger } from '../../shared/ports/logger.ts';
import type { Config } from '../../shared/process/config/config.ts';
import { connectionOptionsOf, managementOf } from '../../shared/process/config/rabbitmq.ts';

const DEADLINE_MS = 3_000;
const silent: Logger = { debug() {}, info() {}, warn() {}, error() {} };

/**
 * How many SMS wait in RabbitMQ for a sender or for their retry, whatever run and schedule they are of. Those that a sender
 * holds, or that move from a retry queue to the due queue at this moment, are not counted. Undefined where RabbitMQ does
 * not tell.
 */
export async function countWaitingSms(config: Config): Promise<number | undefined> {
  try {
    const names = await findQueueNames(config);
    const options = { ...connectionOptionsOf(config, 'start', silent), deadlineMs: DEADLINE_MS };
    const queues = await inspectQueues(options, names);
    return [...queues.values()].reduce((sum, queue) => sum + (queue?.messageCount ?? 0), 0);
  } catch {
    return undefined;
  }
}

/** The queues there are that hold SMS, or those of our settings where the management API does not answer. */
async function findQueueNames(config: Config): Promise<string[]> {
  const { queueName, retrySchedule, queueShards } = config;
  const options = { ...managementOf(config), prefix: queueName, timeoutMs: DEADLINE_MS };
  const { queues } = await new ManagementQueueReader(options)
    .read()
    .catch(() => topologyOf(queueName, retrySchedule, queueShards));
  return queues.map(({ name }) => name).filter((name) => holdsSms(queueName, name));
}

function holdsSms(prefix: string, name: string): boolean {
  return (
    LANES.some(({ routingKey }) => name === queueNameOf(prefix, routingKey)) ||
    parseWorkQueueName(prefix, name) !== undefined ||
    isWaitingQueue(prefix, name)
  );
}
