/**
 * bare-consumer.js QUEUE COUNT PREFETCH: what amqplib and ioredis alone can do. Takes so many messages from a queue,
 * counts them in Redis with one INCRBY for what has come in together, then acknowledges those in bulk. Prints a line at
 * its first delivery and one JSON object at its end.
 */
import { type ConsumeMessage, connect } from 'amqplib';
import { Redis } from 'ioredis';

const [queue = ''] = process.argv.slice(2);
const [count = 0, prefetchCount = 0] = process.argv.slice(3).map(Number);

const redis = new Redis(process.env.REDIS_URL ?? '');
const connection = await connect(process.env.RABBITMQ_URL ?? '');
const channel = await connection.createChannel();
await channel.prefetch(prefetchCount);

let firstDeliveryAtMs: number | undefined;
const seconds = await consumeAll();
await channel.close();
await connection.close();
redis.disconnect();
process.stdout.write(`${JSON.stringify({ count, seconds, smsPerSecond: count / seconds })}\n`);

/** @returns seconds from the first delivery to the last acknowledgement */
function consumeAll(): Promise<number> {
  return new Promise((resolve, reject) => {
    let uncounted: ConsumeMessage[] = [];
    let acknowledgedCount = 0;
    const countThenAcknowledge = async () => {
      const batch = uncounted;
      const last = batch.at(-1);
      uncounted = [];
      if (last === undefined) return;
      await redis.incrby(`${queue}:count`, batch.length);
      channel.ack(last, true);
      acknowledgedCount += batch.length;
      if (acknowledgedCount >= count) resolve((performance.now() - (firstDeliveryAtMs ?? 0)) / 1_000);
    };
    const take = (message: ConsumeMessage | null) => {
      if (message === null) return reject(new Error('the consumer was cancelled'));
      if (firstDeliveryAtMs === undefined) {
        firstDeliveryAtMs = performance.now();
        process.stdout.write(`first delivery at ${Date.now()}\n`);
      }
      if (uncounted.push(message) === 1) setImmediate(() => countThenAcknowledge().catch(reject));
    };
    channel.consume(queue, take).catch(reject);
  });
}
