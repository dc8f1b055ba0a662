import { connect } from 'amqplib';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { topologyOf } from '../../domain/topology/topology.ts';
import { ManagementQueueReader } from './management-queues.ts';

const servers = inject('servers');
const PREFIX = 'management-queues.test';
const account = { user: 'guest', password: 'guest', vhost: '/', prefix: PREFIX };

function readerOf(changes: object = {}): ManagementQueueReader {
  return new ManagementQueueReader({ url: servers.managementUrl, ...account, ...changes });
}

async function depths(): Promise<Record<string, number>> {
  const { queues } = await readerOf().read();
  return Object.fromEntries(queues.map(({ name, messages }) => [name.slice(PREFIX.length + 1), messages]));
}

describe('the management API of a real RabbitMQ', () => {
  let connection: Awaited<ReturnType<typeof connect>>;
  beforeAll(async () => {
    connection = await connect(servers.rabbitmqUrl);
    const channel = await connection.createConfirmChannel();
    for (const queue of topologyOf(PREFIX, [3_600_000]).queues) {
      await channel.assertQueue(queue.name, { durable: true, arguments: queue.arguments });
    }
    // Another pipeline whose name begins with ours must not be counted.
    await channel.assertQueue(`${PREFIX}.other.work`, { durable: true });
  });
  afterAll(() => connection.close());

  it('tells a queue that was just declared as empty', async () => {
    const names = topologyOf(PREFIX, [3_600_000]).queues.map(({ name }) => name.slice(PREFIX.length + 1));
    expect(await depths()).toEqual(Object.fromEntries(names.map((name) => [name, 0])));
  });

  it('counts ready and unacknowledged messages', async () => {
    const channel = await connection.createConfirmChannel();
    for (const queueName of ['work', 'work', 'work', 'retry.1.1h']) {
      channel.sendToQueue(`${PREFIX}.${queueName}`, Buffer.from('x'), { persistent: true });
    }
    await channel.waitForConfirms();
    await channel.prefetch(2);
    await channel.consume(`${PREFIX}.work`, () => {});
    await expect.poll(depths, { timeout: 120_000 }).toMatchObject({ work: 3, 'retry.1.1h': 1 });
    const readyInWork = async () =>
      (await readerOf().read()).queues.find(({ name }) => name === `${PREFIX}.work`)?.ready;
    await expect.poll(readyInWork, { timeout: 120_000 }).toBe(1);
    await channel.close();
  });

  it('refuses a wrong password and an unknown virtual host', async () => {
    await expect(readerOf({ password: 'wrong' }).read()).rejects.toMatchObject({ code: 'SERVER_REFUSED' });
    await expect(readerOf({ vhost: 'nowhere' }).read()).rejects.toMatchObject({ code: 'SERVER_REFUSED' });
  });

  it('is unreachable where nobody listens', async () => {
    await expect(readerOf({ url: 'http://127.0.0.1:9' }).read()).rejects.toMatchObject({
      code: 'SERVER_UNREACHABLE',
    });
  });
});
