import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { type Channel, connect } from 'amqplib';
import { afterEach, beforeEach, expect, inject, test, vi } from 'vitest';
import {
  idOf,
  messageWith,
  numberedIds,
  PipelineOnRabbitMq,
} from '../../../tests/kit/rabbitmq/pipeline-on-rabbitmq.ts';
import { isFreshRoutingKey, retryRoutingKey } from '../../domain/topology/topology.ts';

const servers = inject('servers');
const SHORT_MS = 300;
const LONG_MS = 1_500;

let pipeline: PipelineOnRabbitMq;
beforeEach(async () => {
  pipeline = await PipelineOnRabbitMq.start(servers, [SHORT_MS, LONG_MS]);
});
afterEach(async () => {
  expect(await pipeline.stop()).toBe(0);
});

test('RabbitMQ has the queues with exactly the described arguments, and takes the same declarations again', async () => {
  await pipeline.connect();
  await pipeline.connect();
  const base = {
    'x-queue-type': 'quorum',
    'x-overflow': 'reject-publish',
    'x-dead-letter-strategy': 'at-least-once',
    'x-dead-letter-exchange': `${pipeline.prefix}.internal`,
  };
  const limited = { ...base, 'x-delivery-limit': 1_000_000 };
  const consumed = { ...limited, 'x-dead-letter-routing-key': 'dead-letters' };
  const waiting = { ...base, 'x-dead-letter-routing-key': 'due' };
  const holdSeconds = [1, 4, 16, 64, 256, 1_024, 4_096, 16_384, 65_536, 262_144];
  const expected: Record<string, Record<string, unknown>> = {
    ...{ high: consumed, low: consumed, work: consumed },
    ...Object.fromEntries(
      holdSeconds.map((seconds) => [`hold.${seconds}s`, { ...waiting, 'x-message-ttl': seconds * 1_000 }]),
    ),
    due: consumed,
    journal: consumed,
    'journal.later': { ...base, 'x-dead-letter-routing-key': 'journal', 'x-message-ttl': 20_000 },
    'dead-letters': { ...limited, 'x-dead-letter-routing-key': 'parked' },
    parked: { 'x-queue-type': 'quorum', 'x-overflow': 'reject-publish' },
    'retry.1.300ms': { ...waiting, 'x-message-ttl': SHORT_MS },
    'retry.2.1500ms': { ...waiting, 'x-message-ttl': LONG_MS },
  };
  type Listed = { name: string };
  const listed = await pipeline.api.call<Listed[]>('GET', 'queues/%2F?columns=name');
  const ours = listed.map(({ name }) => name).filter((name) => name.startsWith(`${pipeline.prefix}.`));
  expect(ours.sort()).toEqual(
    Object.keys(expected)
      .map((key) => pipeline.queue(key))
      .sort(),
  );

  for (const [routingKey, queueArguments] of Object.entries(expected)) {
    const queue = await pipeline.api.queue(pipeline.queue(routingKey));
    expect(queue).toMatchObject({ type: 'quorum', durable: true, auto_delete: false });
    expect(queue.arguments).toEqual(queueArguments);
    type Binding = { source: string; routing_key: string };
    const bindings = await pipeline.api.call<Binding[]>(
      'GET',
      `queues/%2F/${pipeline.queue(routingKey)}/bindings`,
    );
    expect(
      bindings.filter(({ source }) => source !== '').map((each) => [each.source, each.routing_key]),
    ).toEqual([
      [isFreshRoutingKey(routingKey) ? pipeline.prefix : `${pipeline.prefix}.internal`, routingKey],
    ]);
  }
  for (const name of [pipeline.prefix, `${pipeline.prefix}.internal`]) {
    const exchange = await pipeline.api.call('GET', `exchanges/%2F/${name}`);
    expect(exchange).toMatchObject({ type: 'direct', durable: true, auto_delete: false });
  }
});

/** Takes the lock as another process would. */
async function takeLock(): Promise<{ channel: Channel; cut: () => void }> {
  const connection = await connect(servers.rabbitmqUrl);
  const channel = await connection.createChannel();
  await channel.assertQueue(pipeline.queue('declaring'), {
    exclusive: true,
    durable: false,
    arguments: { 'x-queue-type': 'classic' },
  });
  connection.on('error', () => {});
  channel.on('error', () => {});
  const { stream } = connection.connection as unknown as { stream: Socket };
  return { channel, cut: () => stream.destroy() };
}

/** What RabbitMQ has logged of queues of this pipeline. */
function logged(pattern: RegExp): string[] {
  const log = readFileSync(servers.rabbitmqLogFile, 'utf8');
  return log.split('\n').filter((line) => line.includes(`'${pipeline.prefix}.`) && pattern.test(line));
}

test('queues that are missing are made by one connection at a time, and those that are there wait for nobody', async () => {
  const other = await takeLock();
  const connections = [1, 2, 3].map(() => pipeline.connect());
  let upCount = 0;
  for (const connection of connections) {
    void connection.then(() => {
      upCount += 1;
    });
  }
  const bell = pipeline.queue('declared');
  await other.channel.assertQueue(bell, {
    durable: true,
    arguments: { 'x-queue-type': 'classic', 'x-expires': 60_000 },
  });
  await vi.waitFor(async () => expect((await other.channel.checkQueue(bell)).consumerCount).toBe(3));
  expect(upCount).toBe(0);
  await expect(pipeline.api.queue(pipeline.queue('work'))).rejects.toThrow('404');

  // As when its holder dies.
  other.cut();
  await Promise.all(connections);

  const another = await takeLock();
  await pipeline.connect();
  another.cut();
});

test('thirty connections that bring a new topology make it once, without asking for the lock again and again', async () => {
  const beganAtMs = performance.now();
  await Promise.all(Array.from({ length: 30 }, () => pipeline.connect()));
  const tookSeconds = (performance.now() - beganAtMs) / 1_000;
  // Each asks whether it is there, and for the lock; some look again a second later, or find the bell gone.
  await vi.waitFor(() => expect(logged(/channel exception/).length).toBeGreaterThan(0));
  expect(logged(/channel exception/).length).toBeLessThan(100 + 30 * tookSeconds);
  const newest = logged(/\.newest\./).map((line) => /newest\.([-\w]+)/.exec(line)?.[1]);
  expect(new Set(newest).size).toBe(1);
});

test('a retry comes back as due when its delay is over and never before', async () => {
  const publisher = pipeline.publisher();
  const due = pipeline.consumer('due', 1_000);
  await pipeline.connect([publisher]);
  await pipeline.connect([due]);
  const publishedAt = new Map<string, number>();
  const waitedMs = new Map<string, number>();
  due.start((delivery) => {
    waitedMs.set(idOf(delivery), performance.now() - (publishedAt.get(idOf(delivery)) ?? Number.NaN));
    delivery.acknowledge();
  });
  const publishAll = (prefix: string, delayMs: number, attempt: number) =>
    numberedIds(50, prefix).map((id) => {
      publishedAt.set(id, performance.now());
      return publisher.publish(messageWith(id, retryRoutingKey(attempt, delayMs)));
    });
  await Promise.all([...publishAll('long', LONG_MS, 2), ...publishAll('short', SHORT_MS, 1)]);
  await vi.waitUntil(() => waitedMs.size === 100, { timeout: 120_000 });

  for (const [id, waited] of waitedMs) {
    const delayMs = id.startsWith('short') ? SHORT_MS : LONG_MS;
    // The broker counts whole milliseconds from when it took the message, and we from before we sent it.
    expect(waited, id).toBeGreaterThanOrEqual(delayMs - 1);
    expect(waited, id).toBeLessThan(delayMs + 5_000);
  }
});
