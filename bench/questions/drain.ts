import { cpuPerSms } from '../instruments/cpu-per-sms.ts';
import { Measurements } from '../instruments/measurements.ts';
import { Pipeline } from '../instruments/pipeline.ts';
import { RateBetween } from '../instruments/rate-between.ts';
import { interleave, type Question } from '../question.ts';

const RUN = 'drain';
const BARE_PREFETCH = 2_000;

/** No latency, no failures, everything on: journal, counters, outcomes in S3. */
export const DRAIN_SETTINGS = {
  MEAN_PROCESSING_TIME: '0',
  FAILURE_RATE: '0',
  SENDER_CONCURRENCY: '1000',
};

export const drain: Question = {
  name: 'drain',
  quickRounds: 2,
  title: 'How fast does one sender drain a backlog?',
  method: [
    '200,000 SMS wait for one sender without latency and failures (mean 0, concurrency 1,000), with ' +
      'everything on.',
    'Redial: from the moment the sender logs "sending" to the moment Redis counts every SMS as sent, ' +
      'which it does when its outcome is stored in S3. This is seen at most 50 ms late.',
    'Bare amqplib: a consumer of the same messages that counts what has come in together with one ' +
      'INCRBY, then acknowledges it in bulk; from its first delivery to its last acknowledgement.',
    'The steady rate is that between a tenth and nine tenths of the SMS: without the start and the ' +
      'last object.',
    'CPU time of the client is that of its whole process, start included.',
  ],
  async ask(bench) {
    const smsCount = bench.isQuick ? 60_000 : 200_000;
    const measurements = new Measurements();
    await interleave(bench, {
      Redial: async () => {
        const pipeline = await Pipeline.open(bench, DRAIN_SETTINGS);
        await pipeline.produce(RUN, smsCount);
        await pipeline.servers.waitUntilIdle();
        const steady = new RateBetween(0.1 * smsCount, 0.9 * smsCount);
        const before = pipeline.servers.readCpu();
        const sender = pipeline.startSender();
        const beganAtMs = await pipeline.isSending(sender);
        const endedAtMs = await pipeline.waitForOutcomes(RUN, smsCount, ({ sent }) =>
          steady.saw(sent, Date.now()),
        );
        const after = pipeline.servers.readCpu();
        measurements.add('Redial', {
          smsPerSecond: (smsCount * 1_000) / (endedAtMs - beganAtMs),
          steadySmsPerSecond: steady.perSecond,
          ...cpuPerSms(before, after, sender.cpuMs, smsCount),
        });
        await pipeline.close();
      },
      'bare amqplib': async () => {
        const pipeline = await Pipeline.open(bench, {});
        await pipeline.produce(RUN, smsCount);
        await pipeline.servers.waitUntilIdle();
        const before = pipeline.servers.readCpu();
        const consumer = pipeline.start('bench/baselines/bare-consumer.js', [
          ...[pipeline.workQueue, String(smsCount), String(BARE_PREFETCH)],
        ]);
        const { smsPerSecond } = await consumer.answer<{ smsPerSecond: number }>();
        const after = pipeline.servers.readCpu();
        measurements.add('bare amqplib', {
          smsPerSecond,
          ...cpuPerSms(before, after, consumer.cpuMs, smsCount),
        });
        await pipeline.close();
      },
    });
    return measurements;
  },
};
