import { type ConfirmChannel, type ConsumeMessage, connect } from 'amqplib';
import { isAtLeast } from '../../scripts/servers/programs/installed-programs.ts';
import {
  internalExchangeOf,
  queueNameOf,
  ROUTING_KEYS,
  retryRoutingKey,
  type Topology,
  topologyOf,
} from '../../shared/domain/topology/topology.ts';
import { latenessFigures } from '../instruments/lateness.ts';
import { Measurements } from '../instruments/measurements.ts';
import { type Bench, interleave, type Question } from '../question.ts';

const PREFIX = 'herd';
const DELAY_MS = 2_000;
const HERD_COUNT = 5_000;
const BODY = Buffer.from(JSON.stringify({ to: '+15550100001', text: 'x'.repeat(100) }));

/** One way of letting a failed SMS wait. */
interface Way {
  readonly topology: Topology;
  /** The routing key of the queue in which it comes back. */
  readonly comesBackIn: string;
  fail(channel: ConfirmChannel, message: ConsumeMessage): void;
}

const topology = topologyOf(PREFIX, [DELAY_MS]);

const ttlQueue: Way = {
  topology,
  comesBackIn: ROUTING_KEYS.due,
  fail(channel, message) {
    const options = { messageId: message.properties.messageId, persistent: true, mandatory: true };
    const routingKey = retryRoutingKey(1, DELAY_MS);
    // Acknowledged when the retry is confirmed, as a sender does it.
    channel.publish(internalExchangeOf(PREFIX), routingKey, message.content, options, (error: unknown) => {
      if (error !== null && error !== undefined) throw error;
      channel.ack(message);
    });
  },
};

const native: Way = {
  topology: {
    ...topology,
    queues: topology.queues.map((queue) =>
      queue.name === queueNameOf(PREFIX, ROUTING_KEYS.work)
        ? { ...queue, arguments: { ...queue.arguments, ...delayedRetryArguments() } }
        : queue,
    ),
  },
  comesBackIn: ROUTING_KEYS.work,
  fail: (channel, message) => channel.nack(message, false, true),
};

export const nativeRetry: Question = {
  name: 'native-retry',
  title: "What does RabbitMQ's own delayed retry cost, beside a queue with a TTL?",
  method: [
    `A client holds ${HERD_COUNT.toLocaleString('en-US')} messages, fails all of them at once and acknowledges each when it ` +
      `comes back after ${DELAY_MS / 1_000} s. Bare amqplib, one connection; the queues have the arguments of Redial's.`,
    'Native: `basic.nack` with requeue, on a queue with `x-delayed-retry-type` all. TTL queue: published to the retry queue, ' +
      'acknowledged when that is confirmed, come back through the due queue.',
    'Lateness is the time from failure to return, less the delay. CPU is what RabbitMQ used from the first failure to the ' +
      'last acknowledgement, the waiting included. Each SMS is one retry.',
  ],
  whyNotAsked: (version) =>
    hasDelayedRetry(version)
      ? undefined
      : `RabbitMQ ${version} has no delayed retry of its own, 4.3.1 and later have it: REDIAL_TEST_RABBITMQ=4.3 npm run bench -- --only native-retry`,
  async ask(bench) {
    const measurements = new Measurements();
    await interleave(bench, {
      native: () => measureHerd(bench, measurements, 'native', native),
      'TTL queue': () => measureHerd(bench, measurements, 'TTL queue', ttlQueue),
    });
    return measurements;
  },
};

/** 4.3.0 refuses its policy keys. */
export function hasDelayedRetry(version: string): boolean {
  return isAtLeast(version, [4, 3, 1]);
}

function delayedRetryArguments() {
  return {
    'x-delayed-retry-type': 'all',
    'x-delayed-retry-min': DELAY_MS,
    'x-delayed-retry-max': DELAY_MS,
  };
}

async function measureHerd(bench: Bench, measurements: Measurements, subject: string, way: Way) {
  const connection = await connect(bench.servers.rabbitMq.amqpUrl);
  try {
    const channel = await connection.createConfirmChannel();
    await declare(channel, way.topology);
    await publishHerd(channel);
    const herd = await holdHerd(channel, way);
    await bench.servers.waitUntilIdle();
    const before = bench.servers.readCpu();
    const latenessMs = await herd.failAll();
    // Its answer follows whatever was acknowledged before it.
    await channel.checkQueue(queueNameOf(PREFIX, ROUTING_KEYS.work));
    const rabbitMqMs = bench.servers.readCpu().rabbitMqMs - before.rabbitMqMs;
    measurements.add(subject, {
      ...latenessFigures(latenessMs),
      rabbitMqCpu: (rabbitMqMs * 1_000) / HERD_COUNT,
    });
  } finally {
    await connection.close();
    await bench.servers.forgetAll();
  }
}

async function declare(channel: ConfirmChannel, { exchanges, queues, bindings }: Topology): Promise<void> {
  for (const { name, type } of exchanges) await channel.assertExchange(name, type, { durable: true });
  for (const { name, arguments: args } of queues)
    await channel.assertQueue(name, { durable: true, arguments: args });
  for (const { queue, exchange, routingKey } of bindings)
    await channel.bindQueue(queue, exchange, routingKey);
}

async function publishHerd(channel: ConfirmChannel): Promise<void> {
  for (let number = 1; number <= HERD_COUNT; number += 1)
    channel.publish(PREFIX, ROUTING_KEYS.work, BODY, { messageId: `${PREFIX}-${number}`, persistent: true });
  await channel.waitForConfirms();
}

/** Takes the whole herd and lets it wait in our hands. @returns what fails it, and tells how late each one was */
async function holdHerd(channel: ConfirmChannel, way: Way): Promise<{ failAll(): Promise<number[]> }> {
  const held: ConsumeMessage[] = [];
  const failedAtMs = new Map<string, number>();
  const latenessMs: number[] = [];
  let wake = () => {};
  const take = (message: ConsumeMessage | null) => {
    if (message === null) throw new Error('the consumer was cancelled');
    const atMs = failedAtMs.get(message.properties.messageId);
    if (atMs === undefined) held.push(message);
    else {
      latenessMs.push(performance.now() - atMs - DELAY_MS);
      channel.ack(message);
    }
    wake();
  };
  const until = async (isMet: () => boolean) => {
    while (!isMet())
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
  };
  await channel.prefetch(2 * HERD_COUNT);
  for (const routingKey of new Set([ROUTING_KEYS.work, way.comesBackIn]))
    await channel.consume(queueNameOf(PREFIX, routingKey), take);
  await until(() => held.length === HERD_COUNT);
  return {
    async failAll() {
      for (const message of held) {
        failedAtMs.set(message.properties.messageId, performance.now());
        way.fail(channel, message);
      }
      await until(() => latenessMs.length === HERD_COUNT);
      return latenessMs;
    },
  };
}
