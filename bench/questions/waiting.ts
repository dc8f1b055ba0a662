import { setTimeout as sleep } from 'node:timers/promises';
import { waitFor } from '../../tests/kit/wait-for.ts';
import type { BenchServers } from '../instruments/bench-servers.ts';
import { latenessFigures, latenessOf } from '../instruments/lateness.ts';
import { Measurements } from '../instruments/measurements.ts';
import { Pipeline } from '../instruments/pipeline.ts';
import { type Bench, interleave, type Question } from '../question.ts';
import { DRAIN_SETTINGS } from './drain.ts';
import { RETRY_SETTINGS } from './retries.ts';

const BYTES_PER_MEGABYTE = 1e6;
const KEEP_TIME_SECONDS = 2;
const FORGETTING_DEADLINE_MS = 30_000;
// Counters of two runs and of each of the last seconds, heartbeats and the like.
const MAX_OTHER_KEYS = 100;
const NONE = 'none waiting';

interface Size {
  readonly smsCount: number;
  readonly some: number;
  readonly most: number;
}

const FULL: Size = { smsCount: 20_000, some: 100_000, most: 1_000_000 };
const QUICK: Size = { smsCount: 20_000, some: 0, most: 60_000 };

export const waiting: Question = {
  name: 'waiting',
  quickRounds: 1,
  title: 'Is it the same with a million SMS waiting in the retry queues?',
  method: [
    'Two fresh sets of servers: in one nothing waits; in the other 100,000 SMS (some), then 1,000,000 ' +
      '(most) that a sender has failed once wait for hours. 20,000 SMS with failure rate 0.3 and ' +
      'schedule 1s,2s,4s run on one and the other in turn.',
    'The rate is that of first attempts, from the "sending" of the sender to the last first attempt ' +
      'in S3.',
    'Memory: resident, of a sender its highest; of Redis what its data take. Bytes per waiting SMS ' +
      'are the difference between the two sets, before the first round.',
    'Past KEEP_TIME: what Redis has more than before when as many SMS were sent and KEEP_TIME, 2 s ' +
      'here, is over; of the second of two runs, for Redis takes half a megabyte for the scripts once. ' +
      'The counters of the run are in it.',
  ],
  async ask(bench) {
    const { smsCount, some, most } = bench.isQuick ? QUICK : FULL;
    const measurements = new Measurements();
    // Both fresh: servers that have worked hard keep memory for later.
    const empty = await Pipeline.open(bench, RETRY_SETTINGS, await bench.startMoreServers('none'));
    const full = await Pipeline.open(bench, RETRY_SETTINGS, await bench.startMoreServers('waiting'));
    let waitingCount = 0;
    for (const [level, count] of [
      ['some waiting', some],
      ['most waiting', most],
    ] as const) {
      if (count === 0) continue;
      bench.say(`  ${count.toLocaleString('en-US')} SMS go to a retry queue`);
      await letWait(full, level, count - waitingCount);
      waitingCount = count;
      measurements.notes.push(`${level}: ${count.toLocaleString('en-US')} SMS`);
      measurements.add(level, await bytesPerWaiting(empty.servers, full.servers, count));
      await interleave(bench, {
        [NONE]: (round) => measureRun(empty, measurements, NONE, `${level}-${round}`, smsCount),
        [level]: (round) => measureRun(full, measurements, level, `${level}-${round}`, smsCount),
      });
    }
    for (const pipeline of [empty, full]) {
      await pipeline.close();
      await pipeline.servers.stop();
    }
    measurements.add(NONE, { redisBytesPerForgotten: await measureForgetting(bench, smsCount) });
    return measurements;
  },
};

/** Fails so many SMS once, and leaves them to a retry queue for hours. */
async function letWait(pipeline: Pipeline, level: string, count: number): Promise<void> {
  const run = runNameOf(level);
  const sender = pipeline.startSender({ FAILURE_RATE: '1', RETRY_SCHEDULE: '6h' });
  await pipeline.isSending(sender);
  await pipeline.produce(run, count);
  await pipeline.waitForAttempts(run, count);
  await sender.stop();
  await pipeline.servers.waitUntilIdle();
}

async function measureRun(
  pipeline: Pipeline,
  measurements: Measurements,
  subject: string,
  runTitle: string,
  smsCount: number,
): Promise<void> {
  const run = runNameOf(runTitle);
  await pipeline.produce(run, smsCount);
  await pipeline.servers.waitUntilIdle();
  const sender = pipeline.startSender();
  const beganAtMs = await pipeline.isSending(sender);
  const endedAtMs = await pipeline.waitForOutcomes(run, smsCount);
  const records = await pipeline.records(run);
  const firstAttemptsMs = records.map(({ attempts }) => Date.parse(attempts[0]?.startedAt ?? ''));
  const lastFirstAttemptMs = firstAttemptsMs.reduce((last, each) => Math.max(last, each), 0);
  const memory = pipeline.servers.residentBytes();
  measurements.add(subject, {
    smsPerSecond: (smsCount * 1_000) / (lastFirstAttemptMs - beganAtMs),
    totalSeconds: (endedAtMs - beganAtMs) / 1_000,
    ...latenessFigures(latenessOf(records)),
    senderMegabytes: sender.highestResidentBytes() / BYTES_PER_MEGABYTE,
    rabbitMqMegabytes: memory.rabbitMq / BYTES_PER_MEGABYTE,
    redisMegabytes: (await pipeline.servers.redisDataBytes()) / BYTES_PER_MEGABYTE,
  });
  // In order, so that nothing of this run comes again in the next.
  await sender.stop();
}

async function bytesPerWaiting(empty: BenchServers, full: BenchServers, waitingCount: number) {
  const rabbitMqBytes = full.residentBytes().rabbitMq - empty.residentBytes().rabbitMq;
  const redisBytes = (await full.redisDataBytes()) - (await empty.redisDataBytes());
  return {
    rabbitMqBytesPerWaiting: rabbitMqBytes / waitingCount,
    redisBytesPerWaiting: redisBytes / waitingCount,
  };
}

/** @returns bytes of Redis per SMS when they are done and KEEP_TIME is over */
async function measureForgetting(bench: Bench, smsCount: number): Promise<number> {
  const pipeline = await Pipeline.open(bench, { ...DRAIN_SETTINGS, KEEP_TIME: `${KEEP_TIME_SECONDS}s` });
  // The first run leaves what Redis takes once: compiled scripts, buffers.
  const bytesBefore = await sendAndForget(pipeline, 'forgotten-first', smsCount);
  const bytesAfter = await sendAndForget(pipeline, 'forgotten', smsCount);
  await pipeline.close();
  return Math.max(0, bytesAfter - bytesBefore) / smsCount;
}

/** @returns what Redis holds when it has forgotten the SMS of the run */
async function sendAndForget(pipeline: Pipeline, run: string, smsCount: number): Promise<number> {
  await pipeline.isSending(pipeline.startSender());
  await pipeline.produce(run, smsCount);
  await pipeline.waitForOutcomes(run, smsCount);
  await pipeline.endSenders();
  await waitFor(
    'Redis to forget',
    () => pipeline.servers.withRedis(async (redis) => (await redis.dbsize()) < MAX_OTHER_KEYS),
    FORGETTING_DEADLINE_MS,
  );
  // Then it makes its tables smaller, little by little.
  let bytes = Infinity;
  for (let reading = 0; reading < 10; reading += 1) {
    await sleep(500);
    bytes = Math.min(bytes, await pipeline.servers.redisDataBytes());
  }
  return bytes;
}

function runNameOf(title: string): string {
  return title.replaceAll(' ', '-');
}
