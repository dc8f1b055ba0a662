import { RabbitMqConnection } from '../../../shared/adapters/rabbitmq/connection.ts';
import { RabbitMqPublisher } from '../../../shared/adapters/rabbitmq/publisher.ts';
import { TopologyDeclarer } from '../../../shared/adapters/rabbitmq/topology-declarer.ts';
import { eventsExchangeOf, eventsTopologyOf } from '../../../shared/domain/topology/topology.ts';
import type { Logger } from '../../../shared/ports/logger.ts';
import type { Config } from '../../../shared/process/config/config.ts';
import { connectionOptionsOf } from '../../../shared/process/config/rabbitmq.ts';

const MAX_UNCONFIRMED = 1_000;
const PUBLISH_DEADLINE_MS = 30_000;

/**
 * What publishes outcome events; nothing where they are off. The connection is their own: where RabbitMQ refuses the exchange,
 * or somebody deletes it, sending and recording keep their connections.
 */
export function outcomeEventsOf(config: Config, log: Logger) {
  if (config.outcomeEvents === 'off') return { publisher: undefined, connections: [] };
  const { queueName: prefix } = config;
  const publisher = new RabbitMqPublisher({
    prefix,
    eventsExchange: eventsExchangeOf(prefix),
    maxUnconfirmed: MAX_UNCONFIRMED,
    deadlineMs: PUBLISH_DEADLINE_MS,
  });
  const connection = new RabbitMqConnection(connectionOptionsOf(config, 'events', log));
  connection.add(new TopologyDeclarer(() => eventsTopologyOf(prefix)));
  connection.add(publisher);
  return { publisher, connections: [connection] };
}
