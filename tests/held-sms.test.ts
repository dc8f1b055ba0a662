/** SMS that must not be sent before a moment, on real servers: what becomes of them in the hold queues, and when they are sent. */
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, inject, test } from 'vitest';
import type { PrivateRabbitMq } from '../scripts/servers/private/private-rabbitmq.ts';
import { type Lateness, latenessOfHeld } from './kit/lateness.ts';
import { PipelineUnderTest } from './kit/process/pipeline-under-test.ts';
import { type ForeignSms, manySms, publishAsClient } from './kit/rabbitmq/foreign-client.ts';
import { ManagementApi } from './kit/rabbitmq/management-api.ts';
import { startTestedRabbitMq } from './kit/rabbitmq/tested-rabbitmq.ts';
import { waitFor } from './kit/wait-for.ts';

const servers = inject('servers');
const COUNT = 1_000;
const SPREAD_MS = 6_000;
let rabbitMq: PrivateRabbitMq;
let pipeline: PipelineUnderTest;

beforeAll(async () => {
  // One of our own, because it is killed.
  rabbitMq = await startTestedRabbitMq(join(servers.folder, 'held-sms'));
});
afterEach(() => pipeline.end());
afterAll(() => rabbitMq.stop({ signal: 'SIGKILL' }));

function pipelineOf(name: string): PipelineUnderTest {
  const { amqpUrl, managementUrl } = rabbitMq;
  const settings = { FAILURE_RATE: '0', MEAN_PROCESSING_TIME: '0.02' };
  return new PipelineUnderTest({ ...servers, rabbitmqUrl: amqpUrl, managementUrl }, name, settings);
}

/** As many SMS as COUNT, for moments spread over SPREAD_MS, the first so far ahead. */
function smsFor(prefix: string, aheadMs: number): ForeignSms[] {
  const fromMs = Date.now() + aheadMs;
  return manySms(COUNT, prefix, (index) => ({ notBefore: fromMs + Math.floor((index * SPREAD_MS) / COUNT) }));
}

const publish = (list: readonly ForeignSms[]) => publishAsClient(rabbitMq.amqpUrl, pipeline.queueName, list);

/** How many SMS each queue of the pipeline holds, handed over or not. */
async function depths(): Promise<Record<string, number>> {
  type Listed = { name: string; messages?: number };
  const all = await new ManagementApi(rabbitMq.managementUrl).call<Listed[]>('GET', 'queues');
  const own = all.filter(({ name }) => name.startsWith(`${pipeline.queueName}.`));
  return Object.fromEntries(
    own.map(({ name, messages = 0 }) => [name.slice(pipeline.queueName.length + 1), messages]),
  );
}

async function waitUntilHeld(count = COUNT): Promise<void> {
  await waitFor('all SMS to be in hold queues', async () => {
    const held = Object.entries(await depths()).filter(([key]) => key.startsWith('hold.'));
    return held.reduce((sum, [, messages]) => sum + messages, 0) >= count;
  });
}

async function latenessWhenDone(): Promise<Lateness> {
  expect(await pipeline.waitUntilDone(COUNT)).toMatchObject({ sent: COUNT, failed: 0, repeatedSends: 0 });
  const records = await pipeline.records();
  const lateness = latenessOfHeld(records);
  expect(lateness).toMatchObject({ count: COUNT, earlyCount: 0 });
  console.log(`${pipeline.queueName}: ${JSON.stringify(lateness)}`);
  return lateness;
}

function expectInTime({ p99Ms, latestMs }: Lateness): void {
  expect(p99Ms).toBeLessThanOrEqual(500);
  expect(latestMs).toBeLessThanOrEqual(2_000);
}

// A busy machine adds time and never takes any.
describe('held SMS are sent at their moments, none early', { retry: 2 }, () => {
  test('with senders that go on', async () => {
    pipeline = pipelineOf('held');
    await Promise.all([pipeline.startSender(), pipeline.startSender()]);
    await publish(smsFor('held', 8_000));
    await waitUntilHeld();
    expectInTime(await latenessWhenDone());
  });

  test('where RabbitMQ is killed and no sender runs in between', async () => {
    pipeline = pipelineOf('held-killed');
    const before = await pipeline.startSender();
    await publish(smsFor('held', 22_000));
    await waitUntilHeld();
    await before.stop();
    await rabbitMq.stop({ signal: 'SIGKILL' });
    await rabbitMq.start();
    await waitFor('an SMS to come out of a hold queue', async () => ((await depths()).due ?? 0) > 0);
    await Promise.all([pipeline.startSender(), pipeline.startSender()]);
    await latenessWhenDone();
  });
});
