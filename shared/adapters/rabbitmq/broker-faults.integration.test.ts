import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, inject, test, vi } from 'vitest';
import type { PrivateRabbitMq } from '../../../scripts/servers/private/private-rabbitmq.ts';
import {
  idOf,
  messageWith,
  numberedIds,
  PipelineOnRabbitMq,
} from '../../../tests/kit/rabbitmq/pipeline-on-rabbitmq.ts';
import { startTestedRabbitMq } from '../../../tests/kit/rabbitmq/tested-rabbitmq.ts';
import { UncaughtErrors } from '../../../tests/kit/uncaught-errors.ts';
import { retryRoutingKey } from '../../domain/topology/topology.ts';

// One RabbitMQ of its own, which the tests freeze, alarm, kill and restart one after the other.
const SHORT_MS = 2_000;
const LONG_MS = 12_000;
const AN_HOUR_MS = 3_600_000;
const DEADLINE_MS = 1_000;
// Deadlines are checked every second.
const REJECTED_WITHIN_MS = DEADLINE_MS + 1_000 + 3_000;

let broker: PrivateRabbitMq;
let pipeline: PipelineOnRabbitMq;
const uncaught = new UncaughtErrors();

beforeAll(async () => {
  broker = await startTestedRabbitMq(join(inject('servers').folder, 'broker-faults'));
  pipeline = await PipelineOnRabbitMq.start(
    { rabbitmqUrl: broker.amqpUrl, managementUrl: broker.managementUrl },
    [SHORT_MS, LONG_MS],
  );
});
afterAll(async () => {
  await pipeline.stop();
  await broker.stop({ signal: 'SIGKILL' });
  uncaught.stop();
  expect(uncaught.seen).toEqual([]);
});

test('a frozen RabbitMQ: publishes are rejected within the deadline, and work again once it goes on', async () => {
  const publisher = pipeline.publisher({ deadlineMs: DEADLINE_MS });
  const connection = await pipeline.connect([publisher]);
  process.kill(broker.pid ?? 0, 'SIGSTOP');
  try {
    const startedAt = performance.now();
    const published = await Promise.allSettled(
      numberedIds(20).map((id) => publisher.publish(messageWith(id))),
    );
    expect(performance.now() - startedAt).toBeLessThan(REJECTED_WITHIN_MS);
    for (const result of published)
      expect(result).toMatchObject({ status: 'rejected', reason: { code: 'PUBLISH_UNKNOWN' } });
  } finally {
    process.kill(broker.pid ?? 0, 'SIGCONT');
  }
  await vi.waitFor(() => publisher.publish(messageWith('again')), { timeout: 120_000 });
  await connection.close();
});

test('a memory alarm pauses publishing for as long as it lasts, while consuming and acknowledging go on', async () => {
  const publisher = pipeline.publisher({ maxUnconfirmed: 50, deadlineMs: DEADLINE_MS });
  const work = pipeline.consumer('work');
  const [publishing, consuming] = [await pipeline.connect([publisher]), await pipeline.connect([work])];
  await Promise.all(numberedIds(10, 'before').map((id) => publisher.publish(messageWith(id))));

  await broker.rabbitmqctl('set_vm_memory_high_watermark', '0.00001');
  const settled: string[] = [];
  const published = Promise.all(
    numberedIds(100, 'during').map((id) =>
      publisher.publish(messageWith(id)).finally(() => settled.push(id)),
    ),
  );
  await vi.waitUntil(() => pipeline.log.count('has a memory or disk alarm') === 1, { timeout: 120_000 });
  const handled = new Set<string>();
  work.start((delivery) => {
    handled.add(idOf(delivery));
    delivery.acknowledge();
  });
  await vi.waitUntil(() => numberedIds(10, 'before').every((id) => handled.has(id)), { timeout: 120_000 });
  await sleep(REJECTED_WITHIN_MS);
  expect(settled).toEqual([]);

  await broker.rabbitmqctl('set_vm_memory_high_watermark', '0.4');
  await published;
  expect(pipeline.log.count('the alarm of RabbitMQ is over')).toBe(1);
  await vi.waitUntil(() => numberedIds(100, 'during').every((id) => handled.has(id)), { timeout: 120_000 });
  await Promise.all([publishing.close(), consuming.close()]);
  expect(await pipeline.api.takeMessageIds(pipeline.queue('work'))).toEqual([]);
});

test('retries that wait while RabbitMQ is killed and started again come back when due, to old and new connections', async () => {
  const publisher = pipeline.publisher({ maxUnconfirmed: 5, deadlineMs: DEADLINE_MS });
  const due = pipeline.consumer('due');
  const connections = [await pipeline.connect([publisher]), await pipeline.connect([due])];
  const publishedAt = new Map<string, number>();
  const waitedMs = new Map<string, number>();
  due.start((delivery) => {
    const id = idOf(delivery);
    if (!waitedMs.has(id)) waitedMs.set(id, Date.now() - (publishedAt.get(id) ?? Number.NaN));
    delivery.acknowledge();
  });
  const publishAll = (prefix: string, attempt: number, delayMs: number) =>
    numberedIds(20, prefix).map((id) => {
      publishedAt.set(id, Date.now());
      return publisher.publish(messageWith(id, retryRoutingKey(attempt, delayMs)));
    });
  await Promise.all([...publishAll('long', 2, LONG_MS), ...publishAll('short', 1, SHORT_MS)]);

  // It dies with an alarm on, of which nobody will tell the end.
  await broker.rabbitmqctl('set_vm_memory_high_watermark', '0.00001');
  const alarms = pipeline.log.count('has a memory or disk alarm');
  const during = Promise.allSettled(
    numberedIds(20, 'during').map((id) => publisher.publish(messageWith(id))),
  );
  await vi.waitUntil(() => pipeline.log.count('has a memory or disk alarm') > alarms, {
    timeout: 120_000,
  });
  const linesBefore = pipeline.log.lines.length;
  await broker.stop({ signal: 'SIGKILL' });
  const stoppedAt = performance.now();
  for (const result of await during)
    expect(result).toMatchObject({ status: 'rejected', reason: { code: 'PUBLISH_UNKNOWN' } });
  expect(performance.now() - stoppedAt).toBeLessThan(REJECTED_WITHIN_MS);

  // Who comes while it is away waits for it.
  const early = pipeline.publisher({ deadlineMs: 60_000 });
  const late = pipeline.describe([early]);
  connections.push(late);
  const opened = late.open(60_000);
  const published = early.publish(messageWith('early'));
  await broker.start();
  await opened;
  await published;

  await vi.waitUntil(() => waitedMs.size === 40, { timeout: 120_000 });
  for (const [id, waited] of waitedMs) {
    const delayMs = id.startsWith('short') ? SHORT_MS : LONG_MS;
    expect(waited, id).toBeGreaterThanOrEqual(delayMs - 1);
  }
  await vi.waitFor(() => publisher.publish(messageWith('after')), { timeout: 120_000 });
  const told = pipeline.log.messages.slice(linesBefore).filter((message) => !message.includes('alarm'));
  expect(told.sort()).toEqual([
    ...Array(3).fill('RabbitMQ is away, trying again'),
    ...Array(3).fill('RabbitMQ is back'),
  ]);
  await Promise.all(connections.map((connection) => connection.close()));
});

test.each([
  { what: 'a work queue', schedule: [], routingKey: 'work' },
  { what: 'a retry queue', schedule: [AN_HOUR_MS], routingKey: retryRoutingKey(1, AN_HOUR_MS) },
])(
  '$what that is new keeps what it confirmed when RabbitMQ is killed, and goes on',
  async ({ schedule, routingKey }) => {
    const fresh = await PipelineOnRabbitMq.start(
      { rabbitmqUrl: broker.amqpUrl, managementUrl: broker.managementUrl },
      schedule,
    );
    await fresh.fill(routingKey, numberedIds(20));
    await broker.stop({ signal: 'SIGKILL' });
    await broker.start();

    await fresh.fill(routingKey, ['afterwards']);
    const kept = await fresh.api.takeMessageIds(fresh.queue(routingKey));
    expect(kept).toEqual([...numberedIds(20), 'afterwards']);
    // Deleting queues while RabbitMQ 3.10 still starts their dead-letter workers takes all of those down.
    await fresh.disconnect();
  },
);
