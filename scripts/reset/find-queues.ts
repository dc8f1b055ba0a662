import { ManagementQueueReader } from '../../shared/adapters/rabbitmq/management-queues.ts';
import { type Config, managementOf } from '../../shared/config.ts';
import { ServerUnavailableError } from '../../shared/errors.ts';
import { type Finding, plural } from './finding.ts';

/** The queues and the exchange of this QUEUE_NAME. @throws ServerUnavailableError */
export async function findQueues(config: Config): Promise<Finding | undefined> {
  const management = managementOf(config);
  const prefix = config.queueName;
  const { queues } = await new ManagementQueueReader({ ...management, prefix }).read();
  const exchange = resourcePath('exchanges', management.vhost, prefix);
  const hasExchange = (await call(management, 'GET', exchange)) === 200;
  if (queues.length === 0 && !hasExchange) return undefined;
  const messages = queues.reduce((sum, queue) => sum + queue.messages, 0);
  const what = [plural(queues.length, 'queue'), ...(hasExchange ? [`the exchange ${prefix}`] : [])];
  return {
    sentence: `${what.join(' and ')} of RabbitMQ at ${management.url} (${plural(messages, 'message')})`,
    async remove() {
      for (const { name } of queues)
        await call(management, 'DELETE', resourcePath('queues', management.vhost, name));
      if (hasExchange) await call(management, 'DELETE', exchange);
    },
  };
}

function resourcePath(kind: 'queues' | 'exchanges', vhost: string, name: string): string {
  return `/api/${kind}/${encodeURIComponent(vhost)}/${encodeURIComponent(name)}`;
}

/** Resolves with the HTTP status; what is gone already is no error. */
async function call(
  { url, user, password }: ReturnType<typeof managementOf>,
  method: 'GET' | 'DELETE',
  path: string,
): Promise<number> {
  const authorization = `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
  const response = await fetch(`${url}${path}`, {
    method,
    headers: { authorization },
    signal: AbortSignal.timeout(30_000),
  });
  if (response.ok || response.status === 404) return response.status;
  throw new ServerUnavailableError(`RabbitMQ at ${url} refused ${method} ${path}: ${response.status}`, {
    isRefusal: true,
  });
}
