import { inspectQueues } from '../../shared/adapters/rabbitmq/inspect-queue.ts';
import { createFetch, ManagementQueueReader } from '../../shared/adapters/rabbitmq/management-queues.ts';
import { queueNameOf, ROUTING_KEYS, teardownOf } from '../../shared/domain/topology/topology.ts';
import { ServerUnavailableError } from '../../shared/errors.ts';
import type { Config } from '../../shared/process/config/config.ts';
import { connectionOptionsOf, managementOf } from '../../shared/process/config/rabbitmq.ts';
import { type Finding, plural, silent } from './finding.ts';

/** The queues and the exchanges of this QUEUE_NAME. @throws ServerUnavailableError */
export async function findQueues(config: Config): Promise<Finding | undefined> {
  const management = managementOf(config);
  const prefix = config.queueName;
  const { queues } = await new ManagementQueueReader({ ...management, prefix }).read();
  const teardown = teardownOf(
    prefix,
    queues.map(({ name }) => name),
  );
  const exchanges = await findExchanges(management, teardown.exchanges);
  if (queues.length === 0 && exchanges.length === 0) return undefined;
  const messages = queues.reduce((sum, queue) => sum + queue.messages, 0);
  const senderCount = await countSenders(config);
  const label = exchanges.length === 1 ? 'the exchange' : 'the exchanges';
  const what = [
    plural(queues.length, 'queue'),
    ...(exchanges.length === 0 ? [] : [`${label} ${exchanges.join(', ')}`]),
  ];
  return {
    sentence: `${what.join(' and ')} of RabbitMQ at ${management.url} (${plural(messages, 'message')})`,
    ...(senderCount > 0 ? { warning: describeSenders(senderCount) } : {}),
    async remove() {
      for (const name of teardown.queues)
        await call(management, 'DELETE', resourcePath('queues', management.vhost, name));
      for (const name of exchanges)
        await call(management, 'DELETE', resourcePath('exchanges', management.vhost, name));
    },
  };
}

/** Each sender is one consumer of the work queue. */
async function countSenders(config: Config): Promise<number> {
  const queueName = queueNameOf(config.queueName, ROUTING_KEYS.work);
  const options = { ...connectionOptionsOf(config, 'reset', silent), deadlineMs: 5_000 };
  const queues = await inspectQueues(options, [queueName]).catch(() => undefined);
  return queues?.get(queueName)?.consumerCount ?? 0;
}

function describeSenders(count: number): string {
  return count === 1
    ? '1 sender takes SMS from these queues: it makes queues and counters again while it runs. Stop it first.'
    : `${count} senders take SMS from these queues: they make queues and counters again while they run. Stop them first.`;
}

async function findExchanges(
  management: ReturnType<typeof managementOf>,
  names: readonly string[],
): Promise<string[]> {
  const found: string[] = [];
  for (const name of names) {
    const path = resourcePath('exchanges', management.vhost, name);
    if ((await call(management, 'GET', path)) === 200) found.push(name);
  }
  return found;
}

function resourcePath(kind: 'queues' | 'exchanges', vhost: string, name: string): string {
  return `/api/${kind}/${encodeURIComponent(vhost)}/${encodeURIComponent(name)}`;
}

/** Resolves with the HTTP status; what is gone already is no error. */
async function call(
  { url, user, password, trust }: ReturnType<typeof managementOf>,
  method: 'GET' | 'DELETE',
  path: string,
): Promise<number> {
  const authorization = `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
  const response = await createFetch(trust)(`${url}${path}`, {
    method,
    headers: { authorization },
    signal: AbortSignal.timeout(30_000),
  });
  if (response.ok || response.status === 404) return response.status;
  throw new ServerUnavailableError(`RabbitMQ at ${url} refused ${method} ${path}: ${response.status}`, {
    isRefusal: true,
  });
}
