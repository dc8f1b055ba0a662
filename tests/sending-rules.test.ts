/** The rules of a sender on real servers: validity, anchor, window and results without a clear answer. */
import { afterEach, expect, inject, test } from 'vitest';
import { smsIdOf } from '../shared/domain/sms/sms.ts';
import { fateOf } from '../shared/pipeline/fate.ts';
import { PipelineUnderTest } from './kit/process/pipeline-under-test.ts';
import { manySms, publishAsClient } from './kit/rabbitmq/foreign-client.ts';
import { ManagementApi } from './kit/rabbitmq/management-api.ts';
import { waitFor } from './kit/wait-for.ts';

const servers = inject('servers');
const pipelines: PipelineUnderTest[] = [];
const MINUTE_MS = 60_000;

afterEach(async () => {
  await Promise.all(pipelines.splice(0).map((pipeline) => pipeline.end()));
});

function pipelineOf(name: string, settings: Record<string, string>): PipelineUnderTest {
  const pipeline = new PipelineUnderTest(servers, name, settings);
  pipelines.push(pipeline);
  return pipeline;
}

/** How many messages are ready in each queue of the pipeline that has any. */
async function ready(pipeline: PipelineUnderTest): Promise<Record<string, number>> {
  type Listed = { name: string; messages_ready?: number };
  const all = await new ManagementApi(servers.managementUrl).call<Listed[]>('GET', 'queues');
  return Object.fromEntries(
    all.flatMap(({ name, messages_ready: count = 0 }) =>
      name.startsWith(`${pipeline.queueName}.`) && count > 0
        ? [[name.slice(pipeline.queueName.length + 1), count]]
        : [],
    ),
  );
}

test('an SMS that waits while no sender runs ends as expired, and nothing starts in the last second', async () => {
  const pipeline = pipelineOf('validity', { FAILURE_RATE: '0' });
  await (await pipeline.startSender()).stop();
  const nowMs = Date.now();
  const expired = manySms(20, 'waits', () => ({ expiresAt: nowMs + 1_500 }));
  // Their moment is up to two seconds before they expire.
  const firstDueMs = nowMs + 15_000;
  const close = manySms(200, 'close', (index) => ({
    notBefore: firstDueMs,
    expiresAt: firstDueMs + index * 10,
  }));
  await publishAsClient(servers.rabbitmqUrl, pipeline.queueName, [...expired, ...close]);
  await waitFor('the SMS to expire', () => Date.now() > nowMs + 1_500);
  await pipeline.startSender();
  await pipeline.waitUntilDone(220);
  const records = await pipeline.records();
  const waited = records.filter(({ smsId }) => smsId.startsWith('waits-'));
  expect(waited).toHaveLength(20);
  for (const each of waited)
    expect(each).toMatchObject({ status: 'failed', reason: 'expired', attempts: [] });
  const sent = records.filter(({ status }) => status === 'sent');
  expect(sent.length).toBeGreaterThan(0);
  for (const { attempts, expiresAt = '' } of sent)
    expect(Date.parse(attempts[0]?.startedAt ?? '')).toBeLessThanOrEqual(Date.parse(expiresAt) - 1_000);
  // Of each hundred, those that could only start in their last second.
  expect(records.filter(({ reason }) => reason === 'expired').length).toBeGreaterThanOrEqual(20 + 100);
});

test('waits that count from acceptance do not add the time of the attempts', async () => {
  const pipeline = pipelineOf('anchor', {
    ...{ FAILURE_RATE: '1', PERMANENT_FAILURE_SHARE: '0', RETRY_ANCHOR: 'accepted', RETRY_SCHEDULE: '2s,3s' },
    ...{ MEAN_PROCESSING_TIME: '0.5', PROCESSING_TIME_DISTRIBUTION: 'constant' },
  });
  await pipeline.startSender();
  await publishAsClient(
    servers.rabbitmqUrl,
    pipeline.queueName,
    manySms(100, 'anchor', () => ({ acceptedAt: Date.now() })),
  );
  await pipeline.waitUntilDone(100);
  for (const { acceptedAt, attempts } of await pipeline.records()) {
    expect(attempts).toHaveLength(3);
    for (const [index, waitMs] of [2_000, 5_000].entries()) {
      const [before, after] = attempts.slice(index);
      const endedMs = Date.parse(before?.startedAt ?? '') + (before?.tookMs ?? Number.NaN);
      const dueMs = Date.parse(after?.startedAt ?? '') - (after?.lateMs ?? Number.NaN);
      // On a machine that is too busy an attempt may end when the next one is due already.
      expect(dueMs).toBe(Math.max(endedMs, Date.parse(acceptedAt) + waitMs));
      expect(after?.lateMs).toBeGreaterThanOrEqual(0);
    }
  }
});

test('outside the window nothing starts, and a retry waits in a hold queue for its opening', async () => {
  const clockTime = (timeMs: number) => new Date(timeMs).toISOString().slice(11, 16);
  const window = (fromMs: number, toMs: number) =>
    `${clockTime(Date.now() + fromMs)}-${clockTime(Date.now() + toMs)} UTC`;
  const closed = pipelineOf('closed', { SENDING_WINDOW: window(60 * MINUTE_MS, 120 * MINUTE_MS) });
  const closing = pipelineOf('closing', {
    ...{ FAILURE_RATE: '1', PERMANENT_FAILURE_SHARE: '0', RETRY_SCHEDULE: '10m' },
    SENDING_WINDOW: window(-2 * MINUTE_MS, 3 * MINUTE_MS),
  });
  for (const pipeline of [closed, closing]) {
    await pipeline.startSender();
    await publishAsClient(servers.rabbitmqUrl, pipeline.queueName, manySms(20, 'window'));
  }
  await waitFor(
    'the retries to be held until tomorrow',
    async () => (await ready(closing))['hold.65536s'] === 20,
  );
  expect(await closing.snapshot()).toMatchObject({ attempts: 20, attemptsFailed: 20, failed: 0 });
  const sumOf = (counts: Record<string, number>) =>
    Object.values(counts).reduce((sum, each) => sum + each, 0);
  await waitFor('the fresh SMS to wait', async () => sumOf(await ready(closed)) === 20);
  expect(await closed.snapshot()).toMatchObject({ attempts: 0, sent: 0, failed: 0 });
});

test.each(['retry', 'give-up'] as const)(
  'attempts without a clear answer end as predicted: %s',
  async (unknownResult) => {
    const pipeline = pipelineOf(`unknown-${unknownResult}`, {
      ...{ FAILURE_RATE: '0.2', PERMANENT_FAILURE_SHARE: '0.1', UNKNOWN_SHARE: '0.3', RANDOM_SEED: '7' },
      ...{ UNKNOWN_RESULT: unknownResult, RETRY_SCHEDULE: '300ms,500ms' },
    });
    await pipeline.startSender();
    await pipeline.produce(300, 'unknown');
    await pipeline.waitUntilDone(300);
    const simulation = {
      ...{ seed: 7, meanProcessingMs: 20, distribution: 'exponential' as const },
      ...{ failureRate: 0.2, permanentFailureShare: 0.1, unknownShare: 0.3 },
    };
    const predicted = Array.from({ length: 300 }, (_, index) => {
      const smsId = smsIdOf('unknown', index + 1);
      const { status, attempts } = fateOf({ simulation, schedule: [300, 500], unknownResult }, smsId);
      return [smsId, status, ...attempts.map(({ result }) => result.kind)].join(' ');
    });
    const records = await pipeline.records();
    const seen = records.map(({ smsId, status, attempts }) =>
      [smsId, status, ...attempts.map(({ result }) => result)].join(' '),
    );
    expect(seen.sort()).toEqual(predicted.sort());
    const reasons = new Set(
      records.flatMap(({ reason, attempts }) => (attempts.at(-1)?.result === 'unknown' ? reason : [])),
    );
    expect([...reasons]).toEqual(['unknown result']);
  },
);
