import { beforeAll, expect, inject, test } from 'vitest';
import { ManagementQueueReader } from '../../shared/adapters/rabbitmq/management-queues.ts';
import { RedisConnection } from '../../shared/adapters/redis/connection.ts';
import { S3ObjectStore } from '../../shared/adapters/s3/object-store.ts';
import { topologyOf } from '../../shared/domain/topology/topology.ts';
import { loadConfig } from '../../shared/process/config/config.ts';
import { managementOf } from '../../shared/process/config/rabbitmq.ts';
import { redisUrlOf } from '../../shared/process/config/redis.ts';
import { s3OptionsOf } from '../../shared/process/config/s3.ts';
import { findKeys } from './find-keys.ts';
import { findObjects } from './find-objects.ts';
import { findQueues } from './find-queues.ts';

const servers = inject('servers');
const ours = 'reset-test';
// A name that begins with ours is another pipeline.
const theirs = `${ours}.other`;
const configOf = (queueName: string) =>
  loadConfig({
    RABBITMQ_URL: servers.rabbitmqUrl,
    RABBITMQ_MANAGEMENT_URL: servers.managementUrl,
    REDIS_URL: servers.redisUrl,
    AWS_ENDPOINT_URL: servers.s3Endpoint,
    AWS_ACCESS_KEY_ID: servers.s3AccessKeyId,
    AWS_SECRET_ACCESS_KEY: servers.s3SecretAccessKey,
    QUEUE_NAME: queueName,
    S3_BUCKET: ours,
  });
const config = configOf(ours);
const management = managementOf(config);
const objects = new S3ObjectStore(s3OptionsOf(config));
const log = { debug() {}, info() {}, warn() {}, error() {} };

beforeAll(async () => {
  await objects.ensureBucket();
  for (const queue of [ours, theirs]) {
    await declare(queue);
    await objects.put(`success/${queue}.ndjson`, Buffer.from(`{"queue":"${queue}"}\n{"queue":"${queue}"}\n`));
    await objects.put(`runs/${queue}/000000000001.json`, Buffer.from(`{"queue":"${queue}"}`));
  }
  await objects.put('success/foreign', Buffer.from('not of Redial'));
  await withRedis(async (redis) => {
    await redis.set(`${ours}:generation`, '1');
    await redis.set(`${ours}:sms:a-000001`, '1');
    await redis.set(`${theirs}:generation`, '1');
  });
});

test('a reset forgets the queues, keys and objects of its QUEUE_NAME and nothing else', async () => {
  const findings = [await findQueues(config), await findKeys(config), await findObjects(config)];
  expect(findings.map((finding) => finding?.sentence.split(/ of | reset-test:/)[0])).toEqual([
    '19 queues and the exchanges reset-test, reset-test.internal',
    '2 keys',
    '2 objects',
  ]);
  for (const finding of findings) await finding?.remove();

  expect([await findQueues(config), await findKeys(config), await findObjects(config)]).toEqual([
    undefined,
    undefined,
    undefined,
  ]);
  const others = configOf(theirs);
  const left = await new ManagementQueueReader({ ...management, prefix: theirs }).read();
  expect(left.queues).toHaveLength(19);
  expect((await findKeys(others))?.sentence).toMatch(/^1 key /);
  expect((await findObjects(others))?.sentence).toMatch(/^2 objects /);
  expect(await objects.get('success/foreign')).toBeDefined();
});

async function declare(queueName: string): Promise<void> {
  const topology = topologyOf(queueName, [1_000]);
  for (const { name, type } of topology.exchanges)
    await put(`exchanges/%2F/${name}`, { type, durable: true });
  for (const queue of topology.queues)
    await put(`queues/%2F/${queue.name}`, { durable: true, arguments: queue.arguments });
}

async function put(path: string, body: object): Promise<void> {
  const authorization = `Basic ${btoa(`${management.user}:${management.password}`)}`;
  const response = await fetch(`${management.url}/api/${path}`, {
    method: 'PUT',
    headers: { authorization, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  expect(response.ok).toBe(true);
}

async function withRedis(
  work: (redis: ReturnType<RedisConnection['session']>['redis']) => Promise<void>,
): Promise<void> {
  const connection = new RedisConnection({ url: redisUrlOf(config), log });
  await connection.open(60_000);
  try {
    await work(connection.session().redis);
  } finally {
    connection.close();
  }
}
