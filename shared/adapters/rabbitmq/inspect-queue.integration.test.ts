import { afterEach, beforeEach, expect, inject, test, vi } from 'vitest';
import { numberedIds, PipelineOnRabbitMq } from '../../../tests/kit/rabbitmq/pipeline-on-rabbitmq.ts';
import { inspectQueues, QueueInspector } from './inspect-queue.ts';

let pipeline: PipelineOnRabbitMq;
beforeEach(async () => {
  pipeline = await PipelineOnRabbitMq.start(inject('servers'));
});
afterEach(async () => {
  expect(await pipeline.stop()).toBe(0);
});

test('queues can be looked at without declaring them, also those that are not there', async () => {
  await pipeline.fill('work', numberedIds(3));
  const consumer = pipeline.consumer('due');
  await pipeline.connect([consumer]);
  consumer.start(() => {});
  const look = () =>
    inspectQueues(
      { urls: [pipeline.url], name: pipeline.connectionName, log: pipeline.log, deadlineMs: 5_000 },
      [pipeline.queue('work'), pipeline.queue('none'), pipeline.queue('due')],
    );
  await vi.waitFor(async () =>
    expect(await look()).toEqual(
      new Map([
        [pipeline.queue('work'), { messageCount: 3, consumerCount: 0 }],
        [pipeline.queue('none'), undefined],
        [pipeline.queue('due'), { messageCount: 0, consumerCount: 1 }],
      ]),
    ),
  );
});

test('looks share one connection, and after the end none is made any more', async () => {
  const { connectionName: name, url, log } = pipeline;
  const inspector = new QueueInspector({ urls: [url], name, log, deadlineMs: 5_000 });
  const connections = async () => (await pipeline.api.connections(name)).length;
  for (let looks = 0; looks < 3; looks += 1) await inspector.inspect([pipeline.queue('none')]);
  await vi.waitFor(async () => expect(await connections()).toBe(1), 120_000);
  // As where a signal comes while the monitor looks.
  const look = inspector.inspect([pipeline.queue('none')]).catch(() => {});
  await Promise.all([look, inspector.close()]);
  await expect(inspector.inspect([pipeline.queue('none')])).rejects.toMatchObject({
    message: expect.stringContaining('closed'),
  });
  await vi.waitFor(async () => expect(await connections()).toBe(0), 120_000);
});

test('queues of a RabbitMQ that is not there cannot be looked at: it says so after the deadline', async () => {
  const options = {
    urls: ['amqp://127.0.0.1:1'],
    name: pipeline.connectionName,
    log: pipeline.log,
    deadlineMs: 300,
  };
  await expect(inspectQueues(options, ['any'])).rejects.toMatchObject({ code: 'SERVER_UNREACHABLE' });
});
