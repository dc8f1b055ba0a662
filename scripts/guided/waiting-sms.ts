import { hostname } from 'node:os';
import { inspectQueues } from '../../shared/adapters/rabbitmq/inspect-queue.ts';
import { ManagementQueueReader } from '../../shared/adapters/rabbitmq/management-queues.ts';
import { type Config, managementOf, rabbitmqUrlsOf } from '../../shared/config.ts';
import {
  describeTopology,
  parseRetryQueueName,
  parseWorkQueueName,
  queueNameOf,
  ROUTING_KEYS,
} from '../../shared/domain/topology.ts';
import type { Logger } from '../../shared/ports.ts';

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
    const name = `redial start@${hostname()}:${process.pid}`;
    const options = { urls: rabbitmqUrlsOf(config), name, log: silent, deadlineMs: DEADLINE_MS };
    const queues = await inspectQueues(options, names);
    return [...queues.values()].reduce((sum, queue) => sum + (queue?.messageCount ?? 0), 0);
  } catch {
    return undefined;
  }
}

/** The work, due and retry queues there are, or those of our settings where the management API does not answer. */
async function findQueueNames(config: Config): Promise<string[]> {
  const { queueName, retrySchedule, queueShards } = config;
  const options = { ...managementOf(config), prefix: queueName, timeoutMs: DEADLINE_MS };
  const { queues } = await new ManagementQueueReader(options)
    .read()
    .catch(() => describeTopology(queueName, retrySchedule, queueShards));
  return queues.map(({ name }) => name).filter((name) => holdsSms(queueName, name));
}

function holdsSms(prefix: string, name: string): boolean {
  return (
    name === queueNameOf(prefix, ROUTING_KEYS.due) ||
    parseWorkQueueName(prefix, name) !== undefined ||
    parseRetryQueueName(prefix, name) !== undefined
  );
}
