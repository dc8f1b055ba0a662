/** What is told of a run, in Redis, by the monitor and by the audit, while it is there and once it is forgotten. */
import { Redis } from 'ioredis';
import { afterAll, afterEach, describe, expect, inject, test } from 'vitest';
import { PipelineUnderTest } from './kit/process/pipeline-under-test.ts';
import { waitFor } from './kit/wait-for.ts';

const servers = inject('servers');
const redis = new Redis(servers.redisUrl);
const FAST = { MEAN_PROCESSING_TIME: '0', FAILURE_RATE: '0.3', RETRY_SCHEDULE: '100ms' };

let pipeline: PipelineUnderTest;
afterEach(() => pipeline.end());
afterAll(() => redis.disconnect());

function keyOf(name: string): string {
  return `${pipeline.queueName}:${name}`;
}

async function untilForgotten(...runs: string[]): Promise<void> {
  await waitFor(`Redis to forget ${runs}`, async () => {
    const open = await redis.smembers(keyOf('runs'));
    const hashes = await redis.exists(...runs.map((run) => keyOf(`run:${run}`)));
    return hashes === 0 && !runs.some((run) => open.includes(run));
  });
}

describe('a run all of whose SMS have had their outcomes for longer than KEEP_TIME', () => {
  test('is forgotten by Redis; its SMS stay in the sums of the monitor and the audit', async () => {
    pipeline = new PipelineUnderTest(servers, 'runs', { ...FAST, KEEP_TIME: '2s' });
    await pipeline.startSender();
    await pipeline.produce(20, 'monday');
    await pipeline.produce(10, 'tuesday');
    const { at: _, ...seen } = JSON.parse(JSON.stringify(await pipeline.waitUntilDone(30)));
    await untilForgotten('monday', 'tuesday');

    const { attempts, attemptsFailed, sent, failed, meanProcessingSeconds, retryLatenessSeconds } = seen;
    const books = { accepted: 30, sent, failed, parked: 0, known: 0, inProgress: 0 };
    expect(await pipeline.snapshot()).toMatchObject({
      ...{ ...books, attempts, attemptsFailed, meanProcessingSeconds, retryLatenessSeconds, problems: [] },
    });
    const { exitCode, report } = await pipeline.auditStill();
    expect([exitCode, report]).toMatchObject([0, { ...books, countersAgree: true, problems: [] }]);
    const ofMonday = await pipeline.audit(['--run', 'monday']);
    expect([ofMonday.exitCode, ofMonday.report]).toMatchObject([0, { accepted: 20, problems: [] }]);
    const monday = await pipeline.start('monitor', ['--once', '--json', '--run', 'monday']).ended;
    expect(JSON.parse(monday.stdout)).toMatchObject({
      accepted: 0,
      problems: [expect.stringMatching(/KEEP_TIME/)],
    });
  });

  test('and is produced again is a new run, whose SMS are sent and counted anew', async () => {
    pipeline = new PipelineUnderTest(servers, 'runs', { ...FAST, KEEP_TIME: '2s' });
    await pipeline.startSender();
    await pipeline.produce(20, 'daily');
    await pipeline.waitUntilDone(20);
    await untilForgotten('daily');
    await pipeline.produce(5, 'daily');
    expect(await pipeline.waitUntilDone(25)).toMatchObject({ accepted: 25, inProgress: 0, known: 0 });
    for (const args of [[], ['--run', 'daily']]) {
      await pipeline.auditStill();
      const { exitCode, report } = await pipeline.audit(args);
      expect([exitCode, report]).toMatchObject([
        0,
        { accepted: 25, missing: 0, balanced: true, problems: [] },
      ]);
    }
  });
});

test('settings of a sender leave with the sender', async () => {
  pipeline = new PipelineUnderTest(servers, 'runs', FAST);
  const sender = await pipeline.startSender();
  await waitFor('its settings', async () => (await redis.hlen(keyOf('senders'))) === 1);
  expect((await sender.stop()).exitCode).toBe(0);
  expect(await redis.hlen(keyOf('senders'))).toBe(0);
});
