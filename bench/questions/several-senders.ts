import { availableParallelism } from 'node:os';
import { busyCores, cpuPerSms } from '../instruments/cpu-per-sms.ts';
import { formatValue, MEASURES, Measurements, type MeasureName } from '../instruments/measurements.ts';
import { Pipeline } from '../instruments/pipeline.ts';
import { RateBetween } from '../instruments/rate-between.ts';
import { type Bench, interleave, type Question } from '../question.ts';
import { DRAIN_SETTINGS } from './drain.ts';

const RUN = 'several';
const BUSY_SHARE = 0.9;

export const severalSenders: Question = {
  name: 'several-senders',
  title: 'What do more senders on this machine bring?',
  method: [
    'The backlog of `drain` with 1, 2 and 4 senders, from the first "sending" to the last SMS ' +
      'counted; the steady rate as there.',
    'The client is all senders together.',
  ],
  async ask(bench) {
    const smsCount = bench.isQuick ? 40_000 : 200_000;
    const measurements = new Measurements();
    const countsOfSenders = bench.isQuick ? [1, 2] : [1, 2, 4];
    const subjects = countsOfSenders.map((senderCount) => {
      const subject = senderCount === 1 ? '1 sender' : `${senderCount} senders`;
      return [subject, () => measureSenders(bench, measurements, subject, senderCount, smsCount)] as const;
    });
    await interleave(bench, Object.fromEntries(subjects));
    for (const [index, [subject]] of subjects.entries())
      measurements.notes.push(
        `${subject}: ${describeLimit(measurements, subject, countsOfSenders[index] ?? 1)}`,
      );
    return measurements;
  },
};

async function measureSenders(
  bench: Bench,
  measurements: Measurements,
  subject: string,
  senderCount: number,
  smsCount: number,
): Promise<void> {
  const pipeline = await Pipeline.open(bench, DRAIN_SETTINGS);
  await pipeline.produce(RUN, smsCount);
  await pipeline.servers.waitUntilIdle();
  const steady = new RateBetween(0.1 * smsCount, 0.9 * smsCount);
  const senders = Array.from({ length: senderCount }, () => pipeline.startSender());
  const beganAtMs = await Promise.race(senders.map((sender) => pipeline.isSending(sender)));
  const before = pipeline.servers.readCpu();
  const cpuMs = () => senders.reduce((sum, sender) => sum + sender.cpuMs, 0);
  const cpuBeforeMs = cpuMs();
  const endedAtMs = await pipeline.waitForOutcomes(RUN, smsCount, ({ sent }) => steady.saw(sent, Date.now()));
  const clientMs = cpuMs() - cpuBeforeMs;
  const after = pipeline.servers.readCpu();
  measurements.add(subject, {
    smsPerSecond: (smsCount * 1_000) / (endedAtMs - beganAtMs),
    steadySmsPerSecond: steady.perSecond,
    ...cpuPerSms(before, after, clientMs, smsCount),
    ...busyCores(before, after, clientMs),
  });
  await pipeline.close();
}

/** What is busy all the time, so that nothing goes faster without it. */
function describeLimit(measurements: Measurements, subject: string, senderCount: number): string {
  const median = (measure: MeasureName) => measurements.summaryOf(subject, measure)?.median ?? 0;
  const cores = availableParallelism();
  if (median('machineCores') >= BUSY_SHARE * cores) {
    const own = (['clientCores', 'rabbitMqCores', 'redisCores', 's3Cores'] as const).map(
      (measure) => `${MEASURES[measure].title} ${formatValue(median(measure), measure)}`,
    );
    return `all ${cores} cores of the machine are busy, of these ${own.join(', ')}`;
  }
  if (median('clientCores') >= BUSY_SHARE * senderCount) return 'the senders are busy all the time';
  if (median('redisCores') >= BUSY_SHARE) return 'Redis is busy all the time';
  return 'no process is busy all the time: they wait for each other, or for the disk';
}
