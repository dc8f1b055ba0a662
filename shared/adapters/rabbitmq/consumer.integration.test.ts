import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, inject, test, vi } from 'vitest';
import {
  idOf,
  messageWith,
  numberedIds,
  PipelineOnRabbitMq,
} from '../../../tests/kit/rabbitmq/pipeline-on-rabbitmq.ts';
import { UncaughtErrors } from '../../../tests/kit/uncaught-errors.ts';
import type { Delivery } from '../../ports/delivery-source.ts';
import type { RabbitMqConsumer } from './consumer.ts';

const servers = inject('servers');

let pipeline: PipelineOnRabbitMq;
let uncaught: UncaughtErrors;
beforeEach(async () => {
  uncaught = new UncaughtErrors();
  pipeline = await PipelineOnRabbitMq.start(servers);
});
afterEach(async () => {
  expect(await pipeline.stop()).toBe(0);
  uncaught.stop();
  expect(uncaught.seen).toEqual([]);
});

/** Starts the consumer and gathers what it hands over. */
function gather(consumer: RabbitMqConsumer): Delivery[] {
  const deliveries: Delivery[] = [];
  consumer.start((delivery) => deliveries.push(delivery));
  return deliveries;
}

function acknowledgeAll(deliveries: readonly Delivery[]): void {
  for (const delivery of deliveries) delivery.acknowledge();
}

test('a message is handed over as it was published', async () => {
  const publisher = pipeline.publisher();
  const consumer = pipeline.consumer('work');
  await pipeline.connect([publisher]);
  await pipeline.connect([consumer]);
  await publisher.publish({ ...messageWith('sms-1'), headers: { attempt: 2 }, body: Buffer.alloc(0) });
  const deliveries = gather(consumer);
  await vi.waitUntil(() => deliveries.length === 1, { timeout: 120_000 });
  expect(deliveries[0]?.message).toEqual({
    body: Buffer.alloc(0),
    headers: { attempt: 2 },
    isRedelivered: false,
    messageId: 'sms-1',
    contentType: 'application/json',
    type: 'sms',
    timestamp: 1_700_000_000,
  });
});

test('no more than the prefetch count is handed over unacknowledged', async () => {
  await pipeline.fill('work', numberedIds(20));
  const consumer = pipeline.consumer('work', 5);
  await pipeline.connect([consumer]);
  const deliveries = gather(consumer);
  await vi.waitUntil(() => deliveries.length === 5, { timeout: 120_000 });
  await sleep(100);
  expect(deliveries.length).toBe(5);
  acknowledgeAll(deliveries.slice(0, 2));
  await vi.waitUntil(() => deliveries.length === 7, { timeout: 120_000 });
  await sleep(100);
  expect(deliveries.map(idOf)).toEqual(numberedIds(7));
});

test('a large prefetch count is spread over channels, and what is acknowledged in any order is gone', async () => {
  await pipeline.fill('work', numberedIds(2_600));
  const consumer = pipeline.consumer('work', 2_500);
  const connection = await pipeline.connect([consumer]);
  const deliveries = gather(consumer);
  // Three channels with 834 each.
  await vi.waitUntil(() => deliveries.length === 2_502, { timeout: 120_000 });
  await sleep(100);
  expect(deliveries.length).toBe(2_502);
  acknowledgeAll(deliveries.filter((_, index) => index % 7 === 0));
  acknowledgeAll(deliveries.filter((_, index) => index % 7 !== 0).reverse());
  await vi.waitUntil(() => deliveries.length === 2_600, { timeout: 120_000 });
  await consumer.cancel();
  acknowledgeAll(deliveries.slice(2_502, 2_590));
  await connection.close();
  expect(new Set(deliveries.map(idOf)).size).toBe(2_600);
  const left = await pipeline.api.takeMessageIds(pipeline.queue('work'));
  expect(left.sort()).toEqual(deliveries.slice(2_590).map(idOf).sort());
});

test('another queue is consumed beside the first, at once and after a reconnect', async () => {
  const consumer = pipeline.consumer('work');
  const publisher = pipeline.publisher();
  await pipeline.connect([publisher]);
  await pipeline.connect([consumer]);
  const deliveries = gather(consumer);
  await publisher.publish(messageWith('first'));
  await vi.waitUntil(() => deliveries.length === 1, { timeout: 120_000 });
  consumer.consumeAlso(pipeline.queue('due'));
  consumer.consumeAlso(pipeline.queue('due'));
  await publisher.publish(messageWith('second', 'due'));
  await vi.waitUntil(() => deliveries.length === 2, { timeout: 120_000 });
  acknowledgeAll(deliveries);
  pipeline.proxy.cut();
  await vi.waitUntil(
    async () => {
      await publisher.publish(messageWith('third', 'due')).catch(() => {});
      return deliveries.some((delivery) => idOf(delivery) === 'third');
    },
    { timeout: 120_000 },
  );
});

test('deliveries of a dead channel acknowledge nothing on the next one, where their tags are other messages', async () => {
  await pipeline.fill('work', numberedIds(5));
  const consumer = pipeline.consumer('work');
  const connection = await pipeline.connect([consumer]);
  const deliveries = gather(consumer);
  await vi.waitUntil(() => deliveries.length === 5, { timeout: 120_000 });
  pipeline.proxy.cut();
  await vi.waitUntil(() => deliveries.length === 10, { timeout: 120_000 });

  const [old, fresh] = [deliveries.slice(0, 5), deliveries.slice(5)];
  expect(old.map((delivery) => delivery.isLive())).toEqual(Array(5).fill(false));
  expect(fresh.map((delivery) => delivery.isLive())).toEqual(Array(5).fill(true));
  acknowledgeAll(old);
  for (const delivery of old) delivery.reject();
  await sleep(100);
  expect(fresh.map((delivery) => delivery.isLive())).toEqual(Array(5).fill(true));
  await connection.close();
  expect((await pipeline.api.takeMessageIds(pipeline.queue('work'))).sort()).toEqual(numberedIds(5));
});

test('a rejected delivery goes to the dead letters, its neighbours are acknowledged', async () => {
  await pipeline.fill('work', numberedIds(3));
  const consumer = pipeline.consumer('work');
  const connection = await pipeline.connect([consumer]);
  const deliveries = gather(consumer);
  await vi.waitUntil(() => deliveries.length === 3, { timeout: 120_000 });
  deliveries[2]?.acknowledge();
  deliveries[1]?.reject();
  deliveries[0]?.acknowledge();
  await vi.waitUntil(
    async () => (await pipeline.api.takeMessageIds(pipeline.queue('dead-letters')))[0] === 'sms-1',
  );
  await connection.close();
  expect(await pipeline.api.takeMessageIds(pipeline.queue('work'))).toEqual([]);
  expect(await pipeline.api.takeMessageIds(pipeline.queue('dead-letters'))).toEqual([]);
});

test('after cancel nothing more is handed over, and what was can still be acknowledged', async () => {
  const publisher = pipeline.publisher();
  const consumer = pipeline.consumer('work');
  await pipeline.connect([publisher]);
  const connections = [await pipeline.connect([consumer])];
  const deliveries = gather(consumer);
  await Promise.all(numberedIds(3).map((id) => publisher.publish(messageWith(id))));
  await vi.waitUntil(() => deliveries.length === 3, { timeout: 120_000 });
  await consumer.cancel();
  const other = pipeline.consumer('work');
  connections.push(await pipeline.connect([other]));
  const elsewhere = gather(other);
  await Promise.all(numberedIds(4, 'later').map((id) => publisher.publish(messageWith(id))));
  await vi.waitUntil(() => elsewhere.length === 4, { timeout: 120_000 });
  acknowledgeAll([...deliveries, ...elsewhere]);
  expect(deliveries.length).toBe(3);
  await Promise.all(connections.map((connection) => connection.close()));
  expect(await pipeline.api.takeMessageIds(pipeline.queue('work'))).toEqual([]);
});

test('what is acknowledged just before the connection is closed does not come again', async () => {
  await pipeline.fill('work', numberedIds(50));
  const consumer = pipeline.consumer('work');
  const connection = await pipeline.connect([consumer]);
  const deliveries = gather(consumer);
  await vi.waitUntil(() => deliveries.length === 50, { timeout: 120_000 });
  acknowledgeAll(deliveries);
  await connection.close();
  expect(await pipeline.api.takeMessageIds(pipeline.queue('work'))).toEqual([]);
});

test('release gives back what is not acknowledged, and the consumer can be started again', async () => {
  await pipeline.fill('work', numberedIds(10));
  const consumer = pipeline.consumer('work');
  const connection = await pipeline.connect([consumer]);
  const deliveries = gather(consumer);
  await vi.waitUntil(() => deliveries.length === 10, { timeout: 120_000 });
  acknowledgeAll(deliveries.slice(0, 4));
  await consumer.release();
  expect(deliveries.some((delivery) => delivery.isLive())).toBe(false);
  acknowledgeAll(deliveries);

  const again = gather(consumer);
  await vi.waitUntil(() => again.length === 6, { timeout: 120_000 });
  expect(again.map(idOf).sort()).toEqual(numberedIds(10).slice(4));
  acknowledgeAll(again);
  await connection.close();
  expect(await pipeline.api.takeMessageIds(pipeline.queue('work'))).toEqual([]);
  expect(pipeline.log.count('away')).toBe(0);
});

test('a consumer that is cancelled and started again over and over leaves no message stranded', async () => {
  const ids = numberedIds(3_000);
  await pipeline.fill('work', ids);
  const consumer = pipeline.consumer('work', 200);
  await pipeline.connect([consumer]);
  const handled = new Set<string>();
  const onDelivery = (delivery: Delivery) => {
    handled.add(idOf(delivery));
    delivery.acknowledge();
  };
  for (let turn = 0; turn < 20; turn += 1) {
    consumer.start(onDelivery);
    const seen = handled.size;
    await vi.waitUntil(() => handled.size > seen || handled.size === ids.length, { interval: 1 });
    await consumer.cancel();
  }
  consumer.start(onDelivery);
  await vi.waitUntil(() => handled.size === ids.length, { timeout: 120_000 });
  expect(pipeline.log.count('away')).toBe(0);
});

test('the last of several calls in quick succession decides', async () => {
  const start = (consumer: RabbitMqConsumer, onDelivery: (delivery: Delivery) => void) =>
    consumer.start(onDelivery);
  const cancel = (consumer: RabbitMqConsumer) => void consumer.cancel();
  const release = (consumer: RabbitMqConsumer) => void consumer.release();
  const successions = [
    [start, start],
    [start, cancel, start],
    [start, release, start],
    [cancel, start],
    [release, start],
    [start, cancel, release, start],
    [start, release, cancel, start],
    [start, release, release, start, cancel, start],
    [start, cancel],
    [start, release],
    [start, cancel, start, release],
    [start, release, start, cancel],
  ];
  const publisher = pipeline.publisher();
  await pipeline.connect([publisher]);
  for (const isDown of [false, true]) {
    for (const [index, succession] of successions.entries()) {
      const consumer = pipeline.consumer('work');
      const connection = pipeline.describe([consumer]);
      if (!isDown) await connection.open(60_000);
      const handled: string[] = [];
      for (const call of succession)
        call(consumer, (delivery) => {
          handled.push(idOf(delivery));
          delivery.acknowledge();
        });
      if (isDown) await connection.open(60_000);
      await sleep(50);
      const id = `sms-${isDown}-${index}`;
      await publisher.publish(messageWith(id));
      const isStarted = succession.at(-1) === start;
      if (isStarted) await vi.waitUntil(() => handled.length > 0, { timeout: 30_000 }).catch(() => {});
      else await sleep(50);
      const names = succession.map((call) => call.name).join(', ');
      expect(handled, `${names}${isDown ? ' while down' : ''}`).toEqual(isStarted ? [id] : []);
      await connection.close();
      await pipeline.api.takeMessageIds(pipeline.queue('work'));
    }
  }
});

test('cancel and release end while the connection is down, and after it was closed', async () => {
  const consumer = pipeline.consumer('work');
  await consumer.cancel();
  await consumer.release();
  const connection = await pipeline.connect([consumer]);
  consumer.start(() => {});
  await connection.close();
  await consumer.cancel();
  await consumer.release();
});

test('a queue deleted under its consumer is declared and consumed again', async () => {
  const publisher = pipeline.publisher();
  const consumer = pipeline.consumer('work');
  await pipeline.connect([publisher]);
  await pipeline.connect([consumer]);
  const deliveries = gather(consumer);
  await publisher.publish(messageWith('before'));
  await vi.waitUntil(() => deliveries.length === 1, { timeout: 120_000 });
  await pipeline.api.deleteQueue(pipeline.queue('work'));
  // Again and again: what is published while the queue is being deleted may be confirmed and go with it, or go without
  // being confirmed.
  await vi.waitUntil(
    () => {
      publisher.publish(messageWith('after')).catch(() => {});
      return deliveries.some((delivery) => idOf(delivery) === 'after');
    },
    { timeout: 120_000, interval: 100 },
  );
  expect(deliveries[0]?.isLive()).toBe(false);
});

test('a handler that throws costs the connection, not the process', async () => {
  await pipeline.fill('work', numberedIds(2));
  const consumer = pipeline.consumer('work');
  await pipeline.connect([consumer]);
  const deliveries: Delivery[] = [];
  consumer.start((delivery) => {
    deliveries.push(delivery);
    delivery.acknowledge();
    if (deliveries.length === 1) throw new Error('a mistake of ours');
  });
  await vi.waitUntil(() => new Set(deliveries.map(idOf)).size === 2, { timeout: 120_000 });
});

test('a header called __proto__ is no prototype, neither at the top nor in a table', async () => {
  const publisher = pipeline.publisher();
  const consumer = pipeline.consumer('work');
  await pipeline.connect([publisher]);
  await pipeline.connect([consumer]);
  // What a spread copies from it stays a property.
  const tricky = Object.fromEntries([['__proto__', Buffer.from('bytes')]]);
  const headers = { ...tricky, attempt: 1, nested: [{ ...tricky, a: { ...tricky } }] };
  await publisher.publish({ ...messageWith('sms-1'), headers });
  await publisher.publish({
    ...messageWith('sms-2'),
    headers: Object.fromEntries([['__proto__', { run: 'mine' }]]),
  });
  const deliveries = gather(consumer);
  await vi.waitUntil(() => deliveries.length === 2, { timeout: 120_000 });
  expect(deliveries.map(({ message }) => message.headers)).toEqual([{ attempt: 1, nested: [{ a: {} }] }, {}]);
  expect(deliveries[1]?.message.headers.run).toBeUndefined();
  expect(pipeline.log.count('away')).toBe(0);
});
