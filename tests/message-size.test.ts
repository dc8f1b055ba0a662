/** A RabbitMQ that takes only small messages: what is larger is split or parked, and nothing goes round. */
import { join } from 'node:path';
import { type ConfirmChannel, connect } from 'amqplib';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest';
import type { PrivateRabbitMq } from '../scripts/servers/private/private-rabbitmq.ts';
import { PipelineUnderTest } from './kit/process/pipeline-under-test.ts';
import type { RunningProcess } from './kit/process/running-process.ts';
import { ManagementApi } from './kit/rabbitmq/management-api.ts';
import { startTestedRabbitMq } from './kit/rabbitmq/tested-rabbitmq.ts';
import { waitFor } from './kit/wait-for.ts';

const KIB = 1_024;
const RUN = 'sized';
const servers = inject('servers');
const json = (value: unknown) => Buffer.from(JSON.stringify(value));
// Three bytes each.
const WIDE = '€';
const FULL_HISTORY = JSON.stringify(
  Array.from({ length: 49 }, (_, index) => ({
    attempt: index + 1,
    startedAt: '2026-11-22T10:00:00.000Z',
    lateMs: 5,
    tookMs: 5,
    result: 'failed',
    reason: WIDE.repeat(200),
  })),
);
const WITH_FULL_HISTORY = { attempt: 50, history: FULL_HISTORY };

let rabbitMq: PrivateRabbitMq;
let connection: Awaited<ReturnType<typeof connect>>;
let channel: ConfirmChannel;
let pipeline: PipelineUnderTest;
let sender: RunningProcess;

beforeAll(async () => {
  rabbitMq = await startTestedRabbitMq(join(servers.folder, 'small-messages'), 64 * KIB);
  connection = await connect(rabbitMq.amqpUrl);
});

beforeEach(async () => {
  channel = await connection.createConfirmChannel();
  const { amqpUrl: rabbitmqUrl, managementUrl } = rabbitMq;
  pipeline = new PipelineUnderTest({ ...servers, rabbitmqUrl, managementUrl }, 'message-size', {
    FAILURE_RATE: '1',
    PERMANENT_FAILURE_SHARE: '0',
    RETRY_SCHEDULE: '100ms',
  });
  await pipeline.objects.ensureBucket();
});

afterEach(async () => {
  await channel?.close();
  await pipeline?.end();
});

afterAll(async () => {
  await connection?.close();
  await rabbitMq?.stop({ signal: 'SIGKILL' });
});

/** From the next channel on. */
async function takeAtMost(bytes: number): Promise<void> {
  await rabbitMq.rabbitmqctl(
    'eval',
    `application:set_env(rabbit, max_message_size, ${bytes}), persistent_term:put(max_message_size, ${bytes}).`,
  );
}

function publish(messageId: string, body: Buffer, headers: object = {}): void {
  const properties = { messageId, contentType: 'application/json', persistent: true };
  channel.publish(pipeline.queueName, 'work', body, { ...properties, headers: { run: RUN, ...headers } });
}

/** An SMS whose body has that many bytes; what is no content of an SMS goes along and is not recorded. */
function bodyOf(bytes: number, text = 'Hello', labels: object = {}): Buffer {
  const content = { to: '+15550100001', text, ...labels, pad: '' };
  return json({ ...content, pad: 'x'.repeat(bytes - json(content).length) });
}

/** The sender learns what RabbitMQ takes by one connection, which may repeat what it carries. The others come after that. */
async function publishTooLongStory(): Promise<void> {
  publish('long-story', bodyOf(1_000), WITH_FULL_HISTORY);
  await fates(1);
}

/** What became of each message, by id: the status of its record and how many attempts that tells. */
async function fates(count: number): Promise<Record<string, string>> {
  const recordsOfRun = async () => (await pipeline.records()).filter(({ run }) => run === RUN);
  const seen = async () => (await recordsOfRun()).map(({ smsId, status }) => `${smsId} ${status}`).join(', ');
  let last = '';
  await waitFor(
    `${count} records`,
    async () => {
      last = await seen();
      return (await recordsOfRun()).length >= count;
    },
    40_000,
    () => last,
  );
  const records = await recordsOfRun();
  expect(records).toHaveLength(count);
  return Object.fromEntries(
    records.map(({ smsId, status, attempts }) => [smsId, `${status} after ${attempts.length}`]),
  );
}

/** Nothing waits or goes round, each parked message lies there once, and no connection was lost twice. */
async function expectRest(parkedCount: number, lostConnections: number): Promise<void> {
  const api = new ManagementApi(rabbitMq.managementUrl);
  let seen = '';
  await waitFor(
    'all queues but the parked one to be empty',
    async () => {
      const queues = await api.call<{ name: string; messages?: number }[]>(
        'GET',
        'queues?disable_stats=true&enable_queue_totals=true',
      );
      const waiting = queues.filter(
        ({ name, messages }) => name.startsWith(`${pipeline.queueName}.`) && messages !== 0,
      );
      seen = JSON.stringify(waiting);
      return waiting.every(({ name, messages }) => name.endsWith('.parked') && messages === parkedCount);
    },
    15_000,
    () => seen,
  );
  expect(sender.hasEnded).toBe(false);
  expect(sender.stdout.match(/RabbitMQ is away/g)?.length ?? 0).toBeLessThanOrEqual(lostConnections);
}

describe('a sender on a RabbitMQ that takes', () => {
  test('64 KiB records everything, and loses no connection', async () => {
    sender = await pipeline.startSender({ RETRY_SCHEDULE: Array(50).fill('20ms').join() });
    const labels = { from: WIDE.repeat(256), reference: WIDE.repeat(256) };
    publish('unreadable', Buffer.alloc(60_000, 'x'));
    publish('largest', bodyOf(64 * KIB, WIDE.repeat(1_600), labels), WITH_FULL_HISTORY);
    publish('escaped', bodyOf(64 * KIB, '\u0001'.repeat(1_600), labels), WITH_FULL_HISTORY);
    publish('headers', json({}), { pad: 'x'.repeat(60_000) });
    publish('more-headers', Buffer.alloc(64 * KIB, 'x'), { pad: 'x'.repeat(65_300) });
    publish('unreadable-with-history', Buffer.alloc(64 * KIB, 'x'), WITH_FULL_HISTORY);
    await channel.waitForConfirms();
    expect(await fates(6)).toEqual({
      ...{ unreadable: 'parked after 0', headers: 'parked after 0', 'more-headers': 'parked after 0' },
      ...{ largest: 'failed after 51', escaped: 'failed after 51' },
      'unreadable-with-history': 'parked after 0',
    });
    await expectRest(4, 0);
  });

  test('16 KiB splits its journal, and parks what has a longer story', async () => {
    await takeAtMost(16 * KIB);
    channel = await connection.createConfirmChannel();
    sender = await pipeline.startSender();
    await publishTooLongStory();
    const headers = Object.fromEntries(
      Array.from({ length: 32 }, (_, index) => [`${index}${WIDE.repeat(80)}`, WIDE.repeat(100)]),
    );
    publish('unreadable', Buffer.alloc(16 * KIB, 'x'), headers);
    publish('largest', bodyOf(16 * KIB, WIDE.repeat(1_600)));
    await channel.waitForConfirms();
    await pipeline.produce(300, 'others');
    expect(await fates(3)).toEqual({
      unreadable: 'parked after 0',
      largest: 'failed after 2',
      'long-story': 'parked after 0',
    });
    await pipeline.waitUntilDone(303);
    await expectRest(2, 1);
    expect(sender.stdout).toMatch(/"level":"error".*the message is parked/);
  });

  test('4 KiB splits its journal, and parks SMS that are too large to be told of', async () => {
    await takeAtMost(4 * KIB);
    channel = await connection.createConfirmChannel();
    sender = await pipeline.startSender();
    await publishTooLongStory();
    publish('unreadable', Buffer.alloc(4 * KIB, 'x'));
    publish('largest', bodyOf(4 * KIB));
    publish('long-text', bodyOf(4_000, WIDE.repeat(1_300)));
    await channel.waitForConfirms();
    await pipeline.produce(300, 'others');
    expect(await fates(4)).toEqual({
      unreadable: 'parked after 0',
      largest: 'failed after 2',
      'long-text': 'parked after 2',
      'long-story': 'parked after 0',
    });
    await pipeline.waitUntilDone(304);
    await expectRest(3, 1);
    expect(sender.stdout).toMatch(/"level":"error".*the message is parked/);
  });
});
