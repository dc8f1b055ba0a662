/** Builds what moves overdue SMS out of the retry and hold queues. */
import { RabbitMqConsumer } from '../../shared/adapters/rabbitmq/consumer.ts';
import { ManagementQueueReader } from '../../shared/adapters/rabbitmq/management-queues.ts';
import { TopologyDeclarer } from '../../shared/adapters/rabbitmq/topology-declarer.ts';
import { RabbitMqOverdueReader } from '../../shared/adapters/rabbitmq/waiting/overdue-reader.ts';
import { type Topology, topologyOf, waitingQueueNamesOf } from '../../shared/domain/topology/topology.ts';
import { describeError } from '../../shared/errors.ts';
import type { Publisher } from '../../shared/ports/publisher.ts';
import type { Config } from '../../shared/process/config/config.ts';
import { managementOf } from '../../shared/process/config/rabbitmq.ts';
import { systemClock } from '../../shared/process/system-clock.ts';
import { LOOK_DEADLINE_MS, type Report, type Surroundings } from '../compose.ts';
import { MOVED_AT_ONCE, OverdueMover } from './move-overdue.ts';
import {
  describeUnmoved,
  hintsOfRequeue,
  renderRequeue,
  requeueOverdue,
  summarizeRequeue,
} from './requeue-overdue.ts';

/** Finds the retry and hold queues, moves what is overdue in them, and closes everything. */
export async function moveOverdue(surroundings: Surroundings): Promise<Report> {
  const { config, shutdown } = surroundings;
  const startedAtMs = systemClock.nowMs();
  const publisher = surroundings.createPublisher(MOVED_AT_ONCE);
  const topology = new TopologyDeclarer(() => withoutWaiting(topologyOf(config.queueName), config.queueName));
  const readerOptions = { ...surroundings.connectionOptions, deadlineMs: LOOK_DEADLINE_MS };
  const overdue = new RabbitMqOverdueReader(readerOptions);
  const move = (queueName: string, count: number) => moveFrom(queueName, count, publisher, surroundings);
  const requeue = async (): Promise<Report> => {
    const { names, expiredCount, silence } = await findWaitingQueues(config);
    const requeued = await requeueOverdue({ overdue, move, shutdown }, names);
    const summary = summarizeRequeue(requeued, expiredCount, systemClock.nowMs() - startedAtMs);
    const text = renderRequeue(summary, config.queueName);
    return {
      summary,
      text,
      line: text.trimEnd(),
      rest: describeUnmoved(summary),
      findHints: async () => hintsOfRequeue(summary, requeued.unknownCount, silence),
      isComplete: (summary.left ?? 0) === 0,
    };
  };
  return surroundings.connected([topology, publisher], requeue).finally(() => publisher.abandon());
}

/**
 * The topology but for the queues where SMS wait. They are not declared: one that somebody declared differently is what this
 * command is for.
 */
function withoutWaiting({ exchanges, queues, bindings }: Topology, prefix: string): Topology {
  const waiting = new Set(waitingQueueNamesOf(prefix, queues));
  return {
    exchanges,
    queues: queues.filter(({ name }) => !waiting.has(name)),
    bindings: bindings.filter(({ queue }) => !waiting.has(queue)),
  };
}

/** All queues there are where SMS wait, or those of our schedule where nobody tells. */
export async function findWaitingQueues(config: Config): Promise<{
  readonly names: readonly string[];
  /** SMS that RabbitMQ has to hand over. */
  readonly expiredCount?: number;
  /** Why the management API did not answer. */
  readonly silence?: string;
}> {
  const { queueName, retrySchedule } = config;
  try {
    const management = new ManagementQueueReader({ ...managementOf(config), prefix: queueName });
    const { queues } = await management.read();
    const names = new Set(waitingQueueNamesOf(queueName, queues));
    const expiredCount = queues.reduce(
      (sum, { name, deadLettering = 0 }) => sum + (names.has(name) ? deadLettering : 0),
      0,
    );
    return { names: [...names], expiredCount };
  } catch (error) {
    const { queues } = topologyOf(queueName, retrySchedule);
    return { names: waitingQueueNamesOf(queueName, queues), silence: describeError(error) };
  }
}

/** Moves over a connection of its own: an alarm of RabbitMQ stops reading the one that publishes. */
async function moveFrom(
  queueName: string,
  overdueCount: number,
  publisher: Publisher,
  surroundings: Surroundings,
): Promise<number> {
  const { log, shutdown } = surroundings;
  const consumer = new RabbitMqConsumer({ queueName, prefetchCount: MOVED_AT_ONCE });
  const around = { publisher, clock: systemClock, log, random: Math.random, shutdown };
  const mover = new OverdueMover(consumer, around);
  // Closing the connection gives back what was not moved.
  await surroundings.connected([consumer], () => mover.move(overdueCount));
  return mover.movedCount;
}
