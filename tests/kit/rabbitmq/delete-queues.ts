import { queueNamePatternOf, teardownOf } from '../../../shared/domain/topology/topology.ts';
import { ManagementApi } from './management-api.ts';

/**
 * Deletes the queues and exchanges of a pipeline. RabbitMQ works for each queue, also where nobody uses it: after a hundred
 * pipelines it would work for nothing else.
 * @param prefix QUEUE_NAME
 */
export async function deleteQueuesOf(managementUrl: string, prefix: string): Promise<void> {
  const management = new ManagementApi(managementUrl);
  const pattern = encodeURIComponent(queueNamePatternOf(prefix));
  const { items } = await management.call<{ items: { name: string }[] }>(
    'GET',
    `queues?page=1&page_size=500&disable_stats=true&use_regex=true&name=${pattern}`,
  );
  const { queues, exchanges } = teardownOf(
    prefix,
    items.map(({ name }) => name),
  );
  const remove = (kind: string) => (name: string) =>
    management.call('DELETE', `${kind}/%2F/${encodeURIComponent(name)}`).catch(() => {});
  await Promise.all(queues.map(remove('queues')));
  await Promise.all(exchanges.map(remove('exchanges')));
}
