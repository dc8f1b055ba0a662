/** Within KEEP_TIME an id is one SMS, whatever run, file or client it comes in; after it, an id is a new SMS. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from 'amqplib';
import { Redis } from 'ioredis';
import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest';
import { PipelineUnderTest } from './kit/process/pipeline-under-test.ts';
import { waitFor } from './kit/wait-for.ts';

const servers = inject('servers');
const IDS = Array.from({ length: 20 }, (_, index) => `customer-${index}`);
const FAST = { MEAN_PROCESSING_TIME: '0', FAILURE_RATE: '0' };

let pipeline: PipelineUnderTest;
beforeEach(() => {
  pipeline = new PipelineUnderTest(servers, 'identity', FAST);
});
afterEach(() => pipeline.end());

/** Produces a file of SMS with ids under a run name. */
async function produceFile(run: string, texts: (id: string) => string = () => 'hello'): Promise<void> {
  const file = join(servers.folder, `${pipeline.queueName}-${run}.csv`);
  const rows = IDS.map((id) => `+15550100001,${texts(id)},${id}`);
  writeFileSync(file, `to,text,id\n${rows.join('\n')}\n`);
  const { exitCode, stderr } = await pipeline.start('producer', ['--file', file, '--run', run]).ended;
  expect(exitCode, stderr).toBe(0);
}

async function untilKnown(count: number): Promise<void> {
  await waitFor(`${count} SMS to be known`, async () => (await pipeline.snapshot()).known === count);
}

/** Until Redis has forgotten every SMS. */
async function untilForgotten(): Promise<void> {
  const redis = new Redis(servers.redisUrl);
  await waitFor(
    'Redis to forget the SMS',
    async () => (await redis.keys(`${pipeline.queueName}:sms:*`)).length === 0,
  );
  redis.disconnect();
}

async function forgetCounters(): Promise<void> {
  await pipeline.emptyRedis();
  await waitFor('the counters to be rebuilt', async () => (await pipeline.snapshot()).state === 'ok');
}

const publishUnreadable = async () => {
  const connection = await connect(servers.rabbitmqUrl);
  const channel = await connection.createConfirmChannel();
  channel.publish(pipeline.queueName, 'work', Buffer.from('ping'), { persistent: true, mandatory: true });
  await channel.waitForConfirms();
  await connection.close();
};

test('20 SMS that were sent twice are told as 20, also where both began in the same millisecond', async () => {
  const connection = await connect(servers.rabbitmqUrl);
  const channel = await connection.createConfirmChannel();
  await pipeline.produce(1, 'first');
  const body = Buffer.from(JSON.stringify({ to: '+15550100001', text: 'hello' }));
  for (const messageId of [...IDS, ...IDS].sort())
    channel.publish(pipeline.queueName, 'work', body, {
      ...{ messageId, contentType: 'application/json', persistent: true, mandatory: true },
    });
  await channel.waitForConfirms();
  await connection.close();
  await Promise.all([pipeline.startSender(), pipeline.startSender()]);
  await pipeline.waitUntilDone(21);
  await waitFor('the second sends to be told', async () => (await pipeline.snapshot()).repeatedSends === 20);
});

describe('the same ids in another run', () => {
  test('within KEEP_TIME are known there: the books of both runs balance, before and after Redis was emptied', async () => {
    await pipeline.startSender();
    await produceFile('first');
    await pipeline.waitUntilDone(20);
    await produceFile('again');
    await untilKnown(20);
    const books = { accepted: 40, sent: 20, known: 20, inProgress: 0 };
    expect(await pipeline.waitUntilDone(40)).toMatchObject(books);
    const first = await pipeline.auditStill();
    expect([first.exitCode, first.report]).toMatchObject([0, { ...books, missing: 0, balanced: true }]);
    // All texts were sent twice, which the books say.
    expect(first.report.repeatedSends).toBe(20);
    await forgetCounters();
    expect(await pipeline.waitUntilDone(40)).toMatchObject(books);
    const second = await pipeline.auditStill();
    expect([second.exitCode, second.report]).toMatchObject([0, { ...books, missing: 0, balanced: true }]);
    const again = await pipeline.audit(['--run', 'again']);
    expect(again.report).toMatchObject({ accepted: 20, known: 20, missing: 0, balanced: true });
  });

  test('with other contents are not sent, and the audit is red until somebody looks', async () => {
    await pipeline.startSender();
    await produceFile('first');
    await pipeline.waitUntilDone(20);
    await produceFile('other', (id) => (id === 'customer-3' ? 'something else' : 'hello'));
    await untilKnown(20);
    const { exitCode, report } = await pipeline.auditStill();
    expect([exitCode, report.balanced, report.idConflicts]).toEqual([1, false, 1]);
    expect(report.conflictingIds).toEqual(['customer-3']);
  });

  test('after KEEP_TIME are new SMS, for counters, audit and rebuild alike', async () => {
    pipeline = new PipelineUnderTest(servers, 'identity', { ...FAST, KEEP_TIME: '2s' });
    await pipeline.startSender();
    await produceFile('monday');
    await pipeline.waitUntilDone(20);
    await untilForgotten();
    await produceFile('tuesday');
    const books = { accepted: 40, sent: 40, known: 0, inProgress: 0 };
    expect(await pipeline.waitUntilDone(40)).toMatchObject(books);
    const first = await pipeline.auditStill();
    expect([first.exitCode, first.report]).toMatchObject([0, { ...books, missing: 0, balanced: true }]);
    await forgetCounters();
    expect(await pipeline.waitUntilDone(40)).toMatchObject(books);
    const second = await pipeline.auditStill();
    expect([second.exitCode, second.report]).toMatchObject([0, { ...books, missing: 0, balanced: true }]);
  });
});

test('the same unreadable message after KEEP_TIME is counted again, by Redis and by the audit', async () => {
  pipeline = new PipelineUnderTest(servers, 'identity', { ...FAST, KEEP_TIME: '2s' });
  await pipeline.startSender();
  await publishUnreadable();
  await pipeline.waitUntilDone(1);
  await untilForgotten();
  await publishUnreadable();
  expect(await pipeline.waitUntilDone(2)).toMatchObject({ parked: 2 });
  const { exitCode, report } = await pipeline.auditStill();
  expect([exitCode, report]).toMatchObject([0, { parked: 2, missing: 0, balanced: true }]);
});
