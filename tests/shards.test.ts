import { afterEach, expect, inject, test } from 'vitest';
import { PipelineUnderTest } from './kit/process/pipeline-under-test.ts';
import { ManagementApi } from './kit/rabbitmq/management-api.ts';

const servers = inject('servers');
const pipelines: PipelineUnderTest[] = [];

afterEach(async () => {
  await Promise.all(pipelines.splice(0).map((pipeline) => pipeline.end()));
});

function pipelineOf(name: string, settings: Record<string, string> = {}): PipelineUnderTest {
  const pipeline = new PipelineUnderTest(servers, name, settings);
  pipelines.push(pipeline);
  return pipeline;
}

test('SMS spread over three work queues are sent by senders that were told of one', async () => {
  const pipeline = pipelineOf('shards');
  // Started before the queues are there, and it must not matter.
  const before = await pipeline.startSender();
  expect((await pipeline.produce(300, 'demo', { QUEUE_SHARDS: '3' })).accepted).toBe(300);
  const api = new ManagementApi(servers.managementUrl);
  type Queue = { name: string; consumers?: number };
  const names = (await api.call<Queue[]>('GET', 'queues')).map(({ name }) => name);
  for (const shard of ['work', 'work.1', 'work.2']) expect(names).toContain(`${pipeline.queueName}.${shard}`);
  expect(names).not.toContain(`${pipeline.queueName}.work.3`);
  const snapshot = await pipeline.waitUntilDone(300);
  expect(snapshot).toMatchObject({ accepted: 300, inProgress: 0, repeatedSends: 0 });
  expect(before.stdout.match(/takes SMS from another work queue/g)).toHaveLength(2);
  expect((await before.stop()).exitCode).toBe(0);
});

test('a lower number strands nothing, also without the management API', async () => {
  const pipeline = pipelineOf('shards-fewer');
  await pipeline.produce(300, 'demo', { QUEUE_SHARDS: '3' });
  const sender = await pipeline.startSender({ RABBITMQ_MANAGEMENT_URL: 'http://127.0.0.1:1' });
  expect(await pipeline.waitUntilDone(300)).toMatchObject({ accepted: 300, inProgress: 0 });
  expect((await sender.stop()).exitCode).toBe(0);
});
