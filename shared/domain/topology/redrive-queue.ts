/**
 * The queue in which the SMS of a redrive stand before they are sent again: `<QUEUE_NAME>.redrive.<run>.staged`. Nobody
 * consumes it but the redrive. A message that the redrive rejects is dead-lettered to `work` by RabbitMQ itself: exactly
 * that message, and no copy of it. So of a redrive that was killed, what was sent is told by what is left in this queue.
 */
import type { PipelineTopology } from './topology.ts';

/** As all consumed queues: RabbitMQ 4 would drop after 20 deliveries. */
const DELIVERY_LIMIT = 1_000_000;

const REDRIVE_KEY = /^redrive\.[A-Za-z0-9._-]{1,64}\.staged$/;

/** `redrive.<run>.staged` */
export function redriveRoutingKey(run: string): string {
  return `redrive.${run}.staged`;
}

export function isRedriveQueue(prefix: string, queueName: string): boolean {
  return queueName.startsWith(`${prefix}.`) && REDRIVE_KEY.test(queueName.slice(prefix.length + 1));
}

/** The topology with the queue of this redrive, which comes before the queues of the pipeline. */
export function withRedriveQueue(topology: PipelineTopology, run: string): PipelineTopology {
  const [fresh, internal] = topology.exchanges;
  const routingKey = redriveRoutingKey(run);
  const name = `${fresh.name}.${routingKey}`;
  const queue = {
    name,
    arguments: {
      'x-queue-type': 'quorum',
      'x-overflow': 'reject-publish',
      'x-dead-letter-exchange': fresh.name,
      'x-dead-letter-routing-key': 'work',
      'x-dead-letter-strategy': 'at-least-once',
      'x-delivery-limit': DELIVERY_LIMIT,
    },
  };
  return {
    ...topology,
    queues: [queue, ...topology.queues],
    bindings: [{ exchange: internal.name, queue: name, routingKey }, ...topology.bindings],
  };
}
