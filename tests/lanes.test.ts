/** SMS of three priorities on real servers: which of them a sender begins first. */
import { afterEach, beforeEach, expect, inject, test } from 'vitest';
import { PipelineUnderTest } from './kit/process/pipeline-under-test.ts';
import { manySms, publishAsClient } from './kit/rabbitmq/foreign-client.ts';
import { waitFor } from './kit/wait-for.ts';

const servers = inject('servers');
const CONCURRENCY = 20;
let pipeline: PipelineUnderTest;

beforeEach(async () => {
  pipeline = new PipelineUnderTest(servers, 'lanes', {
    FAILURE_RATE: '0',
    PROCESSING_TIME_DISTRIBUTION: 'constant',
    SENDER_CONCURRENCY: String(CONCURRENCY),
  });
  // It declares the queues.
  await (await pipeline.startSender()).stop();
});
afterEach(() => pipeline.end());

const publish = (count: number, priority: 'high' | 'low') =>
  publishAsClient(
    servers.rabbitmqUrl,
    pipeline.queueName,
    manySms(count, priority, () => ({ priority })),
  );

/** The priorities of the SMS that were begun, in the order of their starts. */
async function startsInOrder(): Promise<string[]> {
  const records = await pipeline.records();
  return records
    .map(({ attempts: [first], priority = '' }) => ({ startedAt: first?.startedAt ?? '', priority }))
    .sort((left, right) => (left.startedAt < right.startedAt ? -1 : 1))
    .map(({ priority }) => priority);
}

test('a flood of low SMS delays a high one by no more than the sends in flight', async () => {
  await publish(20_000, 'low');
  const slow = { MEAN_PROCESSING_TIME: '0.3' };
  const sender = await pipeline.startSender(slow);
  await waitFor(
    'the flood to be under way',
    async () => (await pipeline.snapshot()).attempts >= 5 * CONCURRENCY,
  );
  const beforeMs = Date.now();
  await publish(1, 'high');
  await waitFor('the high SMS', async () => (await startsInOrder()).includes('high'));
  await sender.stop();
  const records = await pipeline.records();
  const startOf = (record: (typeof records)[number]) => Date.parse(record.attempts[0]?.startedAt ?? '');
  const high = records.find(({ priority }) => priority === 'high');
  if (high === undefined) throw new Error('there is no high SMS');
  const between = records.filter((each) => startOf(each) > beforeMs && startOf(each) < startOf(high));
  console.log(
    `${between.length} low SMS were begun before the high one, ${startOf(high) - beforeMs} ms after it was published`,
  );
  // Those in flight end, and until the high SMS has come to the sender, as many others may begin.
  expect(between.length).toBeLessThanOrEqual(2 * CONCURRENCY);
});

test('low SMS get one turn in twenty while high ones wait', async () => {
  await publish(2_000, 'low');
  await publish(4_000, 'high');
  await pipeline.startSender({ MEAN_PROCESSING_TIME: '0.01' });
  await pipeline.waitUntilDone(6_000);
  const starts = await startsInOrder();
  const whileHighWaits = starts.slice(0, starts.lastIndexOf('high'));
  // The first that RabbitMQ hands over come before all lanes have something waiting.
  for (let from = 500; from + 500 < whileHighWaits.length; from += 500) {
    const low = whileHighWaits.slice(from, from + 500).filter((priority) => priority === 'low').length;
    expect(low).toBeGreaterThanOrEqual(500 / 20 - 5);
    // Where RabbitMQ hands over high ones more slowly than they are sent, no turn is left unused.
    expect(low).toBeLessThan(500 / 2);
  }
});
