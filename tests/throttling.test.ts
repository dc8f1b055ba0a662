/** A carrier that takes less than it is offered: what it throttles waits, and nothing else changes. */
import { Redis } from 'ioredis';
import { afterEach, expect, inject, test } from 'vitest';
import { redisKeysOf } from '../shared/adapters/redis/keys.ts';
import { parseRetrySchedule } from '../shared/domain/schedule/retry-schedule.ts';
import { fateOf } from '../shared/pipeline/fate.ts';
import { PipelineUnderTest } from './kit/process/pipeline-under-test.ts';
import { isThorough } from './kit/process/thorough.ts';

const SENDERS = 4;
const CAPACITY = 200;
const OFFERED_PER_SECOND = 1_000;
const SECONDS = isThorough ? 60 : 4;
const SCHEDULE = '300ms,500ms,700ms';
const SIMULATION = {
  seed: 5,
  meanProcessingMs: 500,
  distribution: 'exponential',
  failureRate: 0.2,
  permanentFailureShare: 0,
} as const;

const servers = inject('servers');
let pipeline: PipelineUnderTest;
let redis: Redis | undefined;
afterEach(async () => {
  redis?.disconnect();
  await pipeline.end();
});

test(
  'a carrier throttles what is beyond its capacity, and no attempt is spent by it',
  async () => {
    const settings = {
      RETRY_SCHEDULE: SCHEDULE,
      RANDOM_SEED: String(SIMULATION.seed),
      MEAN_PROCESSING_TIME: String(SIMULATION.meanProcessingMs / 1_000),
      FAILURE_RATE: String(SIMULATION.failureRate),
      CARRIER_CAPACITY: String(CAPACITY),
    };
    pipeline = new PipelineUnderTest(servers, 'throttled', settings);
    const senders = await Promise.all(Array.from({ length: SENDERS }, () => pipeline.startSender()));
    const smsCount = OFFERED_PER_SECOND * SECONDS;
    await pipeline.produce(smsCount, 'demo', {}, ['--rate', String(OFFERED_PER_SECOND)]);
    const snapshot = await pipeline.waitUntilDone(smsCount, (smsCount * 2_000) / CAPACITY + 60_000);
    expect(snapshot).toMatchObject({ accepted: smsCount, parked: 0, repeatedSends: 0 });

    const parsed = parseRetrySchedule(SCHEDULE);
    const fateSettings = { simulation: SIMULATION, schedule: 'schedule' in parsed ? parsed.schedule : [] };
    const records = await pipeline.records();
    expect(records.length).toBe(smsCount);
    for (const { smsId, status, attempts } of records) {
      const fate = fateOf(fateSettings, smsId);
      expect([smsId, status, attempts.map(({ result }) => result)]).toEqual([
        ...[smsId, fate.status],
        fate.attempts.map(({ result }) => result.kind),
      ]);
    }

    // A bucket that is full lets through what the carrier takes within a second more. How well the rest is used depends on what
    // else the machine does: throttled-carrier.test.ts holds it to 5 % in virtual time, and a thorough run in real time.
    const starts = records
      .flatMap(({ attempts }) => attempts.map(({ startedAt }) => Date.parse(startedAt)))
      .sort((left, right) => left - right);
    const seconds = ((starts.at(-1) ?? 0) - (starts[0] ?? 0)) / 1_000;
    expect(starts.length).toBeLessThan(CAPACITY * (seconds + 1.5));
    if (isThorough) {
      const [from = 0, to = 0] = [0.1, 0.9].map((share) => starts[Math.floor(starts.length * share)]);
      const perSecond = (0.8 * starts.length) / ((to - from) / 1_000);
      expect(Math.abs(perSecond / CAPACITY - 1), `${perSecond} attempts a second`).toBeLessThan(0.05);
    }

    redis = new Redis(servers.redisUrl);
    const { throttled, capacity } = redisKeysOf(pipeline.queueName);
    expect(Object.keys(await redis.hgetall(throttled)).length).toBe(SENDERS);
    expect(await redis.pttl(capacity)).not.toBe(-1);
    for (const sender of senders) expect((await sender.stop()).exitCode).toBe(0);
  },
  isThorough ? 1_200_000 : undefined,
);
