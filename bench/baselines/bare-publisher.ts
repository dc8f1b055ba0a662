/**
 * bare-publisher.js COUNT WINDOW SAMPLES: what amqplib alone can do. Publishes messages like the producer's to a queue
 * like the work queue, persistent, mandatory and confirmed, with so many unconfirmed, and prints one JSON object.
 */
import { readFileSync } from 'node:fs';
import type { SampleMessage } from '../instruments/sample-messages.ts';
import { openWorkQueue } from './open-work-queue.ts';

const [count = 0, windowSize = 0] = process.argv.slice(2, 4).map(Number);
const samples = JSON.parse(readFileSync(process.argv[4] ?? '', 'utf8')) as SampleMessage[];
const messages = samples.map(({ bodyBase64, ...options }) => ({
  options: { ...options, persistent: true, mandatory: true },
  body: Buffer.from(bodyBase64, 'base64'),
}));

const { channel, exchange, routingKey, close } = await openWorkQueue();

const startedAtMs = performance.now();
await publishAll();
const seconds = (performance.now() - startedAtMs) / 1_000;
await close();
process.stdout.write(`${JSON.stringify({ count, seconds, smsPerSecond: count / seconds })}\n`);

function publishAll(): Promise<void> {
  return new Promise((resolve, reject) => {
    let publishedCount = 0;
    let confirmedCount = 0;
    const publishMore = () => {
      while (publishedCount < count && publishedCount - confirmedCount < windowSize) {
        const sample = messages[publishedCount % messages.length];
        if (sample === undefined) throw new Error('there are no sample messages');
        publishedCount += 1;
        const options = { ...sample.options, messageId: `bare-${publishedCount}` };
        channel.publish(exchange, routingKey, sample.body, options, onConfirm);
      }
    };
    const onConfirm = (error: unknown) => {
      if (error !== null && error !== undefined) return reject(error);
      confirmedCount += 1;
      if (confirmedCount === count) return resolve();
      publishMore();
    };
    channel.on('return', () => reject(new Error('a message was returned')));
    publishMore();
  });
}
