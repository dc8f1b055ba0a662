/** `producer cancel` and `producer retry-now` as processes, with real senders, RabbitMQ and Redis. */
import { Redis } from 'ioredis';
import { afterEach, beforeEach, expect, inject, test } from 'vitest';
import { PipelineUnderTest } from './kit/process/pipeline-under-test.ts';
import { waitUntil } from './kit/wait-for.ts';

const servers = inject('servers');
let pipeline: PipelineUnderTest;
let redis: Redis;

beforeEach(() => {
  // Every attempt fails for now, and its SMS waits an hour.
  pipeline = new PipelineUnderTest(servers, 'direct', {
    FAILURE_RATE: '1',
    PERMANENT_FAILURE_SHARE: '0',
    RETRY_SCHEDULE: '1h',
    OUTCOME_BATCH_SECONDS: '0.2',
  });
  redis = new Redis(servers.redisUrl);
});

afterEach(async () => {
  redis.disconnect();
  await pipeline.end();
});

interface Answer {
  readonly exitCode: number | null;
  readonly stderr: string;
  readonly summary: {
    readonly directives?: readonly { readonly id: string; readonly result: string }[];
    readonly run?: string;
    readonly result?: string;
    readonly counts?: Record<string, number>;
  };
}

async function direct(...args: string[]): Promise<Answer> {
  const { exitCode, stdout, stderr } = await pipeline.start('producer', [...args, '--json']).ended;
  return { exitCode, stderr, summary: stdout === '' ? {} : JSON.parse(stdout) };
}

function resultsIn({ summary }: Answer): string[] {
  return (summary.directives ?? []).map(({ result }) => result);
}

/** The attempts that are counted so far. */
const attempts = async () => Number((await pipeline.snapshot()).attempts);
const untilAttempted = (count: number) => waitUntil(`${count} attempts`, attempts, (seen) => seen >= count);
// Before the first outcome there is no bucket.
const outcomes = async () =>
  (await pipeline.records().catch(() => [])).map(({ smsId, status, reason, attempts: had }) => [
    smsId,
    status,
    reason,
    had.length,
  ]);
const untilRecorded = (count: number) =>
  waitUntil(`${count} outcomes`, outcomes, (seen) => seen.length >= count);

test('what waits for its retry is cancelled or sent now, and each id is told', async () => {
  await pipeline.startSender();
  await pipeline.produce(4, 'a');
  await untilAttempted(4);
  const cancelled = await direct('cancel', 'a-000001', 'a-000002', 'nobody-1');
  expect(resultsIn(cancelled)).toEqual(['cancelled', 'cancelled', 'not met yet']);
  expect(cancelled.exitCode).toBe(0);
  const sentNow = await direct('retry-now', 'a-000003', 'a-000001', 'nobody-2');
  expect(resultsIn(sentNow)).toEqual(['sent now', 'already failed', 'unknown id']);
  expect(sentNow.exitCode).toBe(1);
  const recorded = await untilRecorded(3);
  expect(recorded.sort()).toEqual([
    ['a-000001', 'failed', 'cancelled', 1],
    ['a-000002', 'failed', 'cancelled', 1],
    ['a-000003', 'failed', expect.not.stringMatching('cancelled'), 2],
  ]);
  const again = await direct('cancel', 'a-000003');
  expect([resultsIn(again), again.exitCode]).toEqual([['already failed'], 1]);
  // Of the SMS that nobody named nothing has changed.
  expect((await pipeline.snapshot()).inProgress).toBe(1);
  expect((await direct('cancel', '--run', 'a')).summary).toMatchObject({
    run: 'a',
    result: 'cancelled',
    counts: { pulled: 1 },
  });
  expect((await untilRecorded(4)).length).toBe(4);
});

test('without a sender it is done when one starts, also with Redis emptied while another sender lived', async () => {
  const first = await pipeline.startSender();
  await direct('cancel', 'b-000002');
  await pipeline.emptyRedis();
  const isBack = () => redis.zcard(`${pipeline.queueName}:directives`);
  await waitUntil('the directive to be given again', isBack, (count) => count === 1);
  await first.stop('SIGKILL');
  await pipeline.produce(2, 'b');
  const cancelled = await direct('cancel', 'b-000001');
  expect(cancelled.stderr).toContain('no sender is running');
  expect(resultsIn(cancelled)).toEqual(['not met yet']);
  await pipeline.startSender();
  expect((await untilRecorded(2)).sort()).toEqual([
    ['b-000001', 'failed', 'cancelled', 0],
    ['b-000002', 'failed', 'cancelled', 0],
  ]);
});

test('a sender that is killed meanwhile takes nothing back of what waits in hold queues', async () => {
  // Retries that count from acceptance wait in hold queues.
  const anchored = { RETRY_ANCHOR: 'accepted' };
  const killed = await pipeline.startSender(anchored);
  await pipeline.produce(60, 'c');
  await untilAttempted(60);
  const retried = direct('retry-now', ...Array.from({ length: 20 }, (_, index) => `c-0000${index + 10}`));
  const head = () => redis.zcard(`${pipeline.queueName}:directives`);
  await waitUntil('the directives', head, (count) => count === 20);
  await killed.stop('SIGKILL');
  // RabbitMQ knows at once that nobody is left who does not know.
  expect(new Set(resultsIn(await retried))).toEqual(new Set(['sent now']));
  const cancelled = await direct('cancel', '--run', 'c');
  expect(cancelled.summary).toMatchObject({ result: 'cancelled' });
  await pipeline.startSender(anchored);
  const recorded = await untilRecorded(60);
  // A run that is cancelled is cancelled as a whole, unless its SMS were attempted before.
  for (const [, status, reason, had] of recorded)
    expect([status, reason === 'cancelled' ? 'cancelled' : had]).toEqual([
      'failed',
      reason === 'cancelled' ? 'cancelled' : 2,
    ]);
  expect(recorded.filter(([, , reason]) => reason === 'cancelled').length).toBeGreaterThanOrEqual(40);
  expect((await pipeline.snapshot()).repeatedSends).toBe(0);
});
