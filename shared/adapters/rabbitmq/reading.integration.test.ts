import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, inject, test, vi } from 'vitest';
import {
  messageWith,
  numberedIds,
  PipelineOnRabbitMq,
} from '../../../tests/kit/rabbitmq/pipeline-on-rabbitmq.ts';
import type { Delivery } from '../../ports/delivery-source.ts';
import type { RabbitMqConnection } from './connection.ts';
import type { RabbitMqConsumer } from './consumer.ts';

const MESSAGE_BYTES = 4 * 2 ** 20;
// With what each takes beside its body, the eighth is the first one above 32 MiB.
const READ_AT_ONCE = 8;
const HEARTBEATS_MS = 5_000;
const PATIENCE = { timeout: 120_000 };

let pipeline: PipelineOnRabbitMq;
let connection: RabbitMqConnection;
let consumer: RabbitMqConsumer;
let deliveries: Delivery[];

/** More bytes than may be in hand, on a connection that RabbitMQ and we end after two seconds without a sign of life. */
beforeEach(async () => {
  pipeline = await PipelineOnRabbitMq.start(inject('servers'));
  const publisher = pipeline.publisher();
  await pipeline.connect([publisher]);
  const body = Buffer.alloc(MESSAGE_BYTES);
  for (const id of numberedIds(READ_AT_ONCE + 6)) await publisher.publish({ ...messageWith(id), body });
  consumer = pipeline.consumer('work');
  connection = await pipeline.connect([consumer], [`${pipeline.url}?heartbeat=1`]);
  deliveries = [];
  consumer.start((delivery) => deliveries.push(delivery));
  await vi.waitUntil(() => deliveries.length === READ_AT_ONCE, PATIENCE);
});

afterEach(async () => {
  await pipeline.stop();
  expect(pipeline.log.count('RabbitMQ is away')).toBe(0);
});

function acknowledge(count: number): void {
  for (const delivery of deliveries.slice(0, count)) delivery.acknowledge();
}

test('reading stops above the bound, outlives heartbeats, and goes on when there is room', async () => {
  await sleep(HEARTBEATS_MS);
  expect(deliveries.length).toBe(READ_AT_ONCE);
  expect(deliveries.every((delivery) => delivery.isLive())).toBe(true);
  acknowledge(3);
  await vi.waitUntil(() => deliveries.length === READ_AT_ONCE + 3, PATIENCE);
  await sleep(500);
  expect(deliveries.length).toBe(READ_AT_ONCE + 3);
});

test('a consumer that waits for room can be cancelled, and its deliveries acknowledged', async () => {
  await consumer.cancel();
  expect(deliveries.length).toBe(READ_AT_ONCE);
  acknowledge(READ_AT_ONCE);
  await connection.close();
  const ready = async () => {
    const queues = await pipeline.api.call<{ name: string; messages_ready?: number }[]>(
      'GET',
      'queues?disable_stats=true&enable_queue_totals=true',
    );
    return queues.find(({ name }) => name === pipeline.queue('work'))?.messages_ready;
  };
  await vi.waitUntil(async () => (await ready()) === 6, PATIENCE);
});

test('a connection that waits for room is closed at once', async () => {
  const startedAtMs = Date.now();
  await connection.close();
  expect(Date.now() - startedAtMs).toBeLessThan(8_000);
  expect(deliveries.some((delivery) => delivery.isLive())).toBe(false);
});
