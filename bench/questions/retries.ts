import { setTimeout as sleep } from 'node:timers/promises';
import type { OutcomeRecord } from '../../shared/domain/outcome/outcome.ts';
import { cpuPerSms } from '../instruments/cpu-per-sms.ts';
import { latenessFigures, latenessOf } from '../instruments/lateness.ts';
import { Measurements } from '../instruments/measurements.ts';
import { Pipeline } from '../instruments/pipeline.ts';
import { percentileOf } from '../instruments/statistics.ts';
import { type Bench, interleave, type Question } from '../question.ts';

const RUN = 'retries';
const SCHEDULE_SECONDS = 7;
const SENDER_START_MS = 1_500;

export const RETRY_SETTINGS = {
  MEAN_PROCESSING_TIME: '0',
  FAILURE_RATE: '0.3',
  RETRY_SCHEDULE: '1s,2s,4s',
  SENDER_CONCURRENCY: '1000',
};

const PACED = { smsCount: 20_000, smsPerSecond: 1_000 };
const BURST_COUNT = 50_000;
const QUICK_BURST_COUNT = 10_000;
const STAGED = {
  smsCount: 20_000,
  smsPerSecond: 2_000,
  /** Time enough to end their sender and to produce the fresh ones. */
  waitSeconds: 30,
};
const FRESH = {
  smsCount: 140_000,
  /** For so long the sender is at it when the first retry falls due: its start is another question. */
  leadMs: 2_000,
};

export const retries: Question = {
  name: 'retries',
  quickRounds: 1,
  title: 'How late are retries?',
  method: [
    'Failure rate 0.3, schedule 1s,2s,4s, mean 0, concurrency 1,000. Lateness is `lateMs` of every ' +
      'attempt after the first, as it stands in S3.',
    'Paced: `producer --rate 1000` for 20 seconds.',
    'Burst: 50,000 SMS wait when the sender starts. Total time is from its "sending" to the last ' +
      'outcome counted, beside the 7 seconds of the schedule plus the time that the same SMS take ' +
      'without failures.',
    'Behind fresh: 20,000 SMS have failed once, spread over 10 seconds, and wait 30 seconds. 140,000 ' +
      'fresh SMS wait when a sender starts, 2 seconds before the first retry is due. Lateness is that ' +
      'of the attempts which fell due from then on and before the last fresh SMS had its first attempt.',
  ],
  async ask(bench) {
    const measurements = new Measurements();
    const burstCount = bench.isQuick ? QUICK_BURST_COUNT : BURST_COUNT;
    const burst = () => measureBurst(bench, measurements, burstCount);
    if (bench.isQuick) await interleave(bench, { burst });
    else
      await interleave(bench, {
        paced: () => measurePaced(bench, measurements),
        burst,
        'behind fresh': () => measureBehindFresh(bench, measurements),
      });
    return measurements;
  },
};

async function measurePaced(bench: Bench, measurements: Measurements): Promise<void> {
  const { smsCount, smsPerSecond } = PACED;
  const pipeline = await Pipeline.open(bench, RETRY_SETTINGS);
  const sender = pipeline.startSender();
  await pipeline.isSending(sender);
  const before = pipeline.servers.readCpu();
  const senderBeforeMs = sender.cpuMs;
  await pipeline.produce(RUN, smsCount, ['--rate', String(smsPerSecond)]);
  await pipeline.waitForOutcomes(RUN, smsCount);
  const after = pipeline.servers.readCpu();
  measurements.add('paced', {
    ...latenessFigures(latenessOf(await pipeline.records(RUN))),
    ...cpuPerSms(before, after, sender.cpuMs - senderBeforeMs, smsCount),
  });
  await pipeline.close();
}

async function measureBurst(bench: Bench, measurements: Measurements, smsCount: number): Promise<void> {
  const drainSeconds = await drainBurst(
    bench,
    { ...RETRY_SETTINGS, FAILURE_RATE: '0' },
    smsCount,
    async () => {},
  );
  const totalSeconds = await drainBurst(bench, RETRY_SETTINGS, smsCount, async (pipeline, cpu) =>
    measurements.add('burst', { ...latenessFigures(latenessOf(await pipeline.records(RUN))), ...cpu }),
  );
  measurements.add('burst', {
    ...{ totalSeconds, drainSeconds },
    besideSchedule: totalSeconds / (SCHEDULE_SECONDS + drainSeconds),
  });
}

/** @returns seconds from the sender's "sending" to the last outcome */
async function drainBurst(
  bench: Bench,
  settings: Readonly<Record<string, string>>,
  smsCount: number,
  onEnd: (pipeline: Pipeline, cpu: ReturnType<typeof cpuPerSms>) => Promise<void>,
): Promise<number> {
  const pipeline = await Pipeline.open(bench, settings);
  await pipeline.produce(RUN, smsCount);
  await pipeline.servers.waitUntilIdle();
  const before = pipeline.servers.readCpu();
  const sender = pipeline.startSender();
  const beganAtMs = await pipeline.isSending(sender);
  const endedAtMs = await pipeline.waitForOutcomes(RUN, smsCount);
  await onEnd(pipeline, cpuPerSms(before, pipeline.servers.readCpu(), sender.cpuMs, smsCount));
  await pipeline.close();
  return (endedAtMs - beganAtMs) / 1_000;
}

async function measureBehindFresh(bench: Bench, measurements: Measurements): Promise<void> {
  const pipeline = await Pipeline.open(bench, RETRY_SETTINGS);
  const failing = pipeline.startSender({ FAILURE_RATE: '1', RETRY_SCHEDULE: `${STAGED.waitSeconds}s` });
  await pipeline.isSending(failing);
  const firstDueAtMs = Date.now() + STAGED.waitSeconds * 1_000;
  await pipeline.produce('staged', STAGED.smsCount, ['--rate', String(STAGED.smsPerSecond)]);
  await pipeline.waitForAttempts('staged', STAGED.smsCount);
  await failing.stop();
  await pipeline.produce('fresh', FRESH.smsCount);
  await sleep(Math.max(0, firstDueAtMs - SENDER_START_MS - FRESH.leadMs - Date.now()));

  const sender = pipeline.startSender();
  const beganAtMs = await pipeline.isSending(sender);
  if (beganAtMs > firstDueAtMs) {
    measurements.notes.push(
      'behind fresh: a round is left out, retries fell due before the sender was there',
    );
    return pipeline.close();
  }
  await pipeline.waitForOutcomes('staged', STAGED.smsCount);
  await pipeline.waitForOutcomes('fresh', FRESH.smsCount);
  const freshAttemptsMs = (await pipeline.records('fresh')).map(firstAttemptAtMs);
  const toMs = percentileOf(freshAttemptsMs, 100);
  const late = latenessOf(await pipeline.records('staged'), { fromMs: firstDueAtMs, toMs });
  const freshWaitingCount = freshAttemptsMs.filter((atMs) => atMs >= firstDueAtMs).length;
  if (late.length === 0)
    measurements.notes.push('behind fresh: a round is left out, no fresh SMS waited any more');
  else measurements.add('behind fresh', { ...latenessFigures(late), freshWaitingCount });
  await pipeline.close();
}

function firstAttemptAtMs({ attempts }: OutcomeRecord): number {
  return Date.parse(attempts[0]?.startedAt ?? '');
}
