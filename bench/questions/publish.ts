import { cpuPerSms } from '../instruments/cpu-per-sms.ts';
import { Measurements } from '../instruments/measurements.ts';
import { Pipeline } from '../instruments/pipeline.ts';
import { takeSampleMessages } from '../instruments/sample-messages.ts';
import { type Bench, interleave, type Question } from '../question.ts';

/** The producer's own. */
export const MAX_UNCONFIRMED = 1_500;

export const publish: Question = {
  name: 'publish',
  quickRounds: 2,
  title: 'How fast does the producer publish?',
  method: [
    '`producer --num-messages 200000`, beside a bare amqplib publisher with the same messages (taken ' +
      "from a producer's queue), the same window of unconfirmed ones and a queue declared alike.",
    'The rate is from the first publish to the last confirm, as each tells it.',
    'CPU time of the client is that of its whole process, start included.',
  ],
  async ask(bench) {
    const smsCount = bench.isQuick ? 60_000 : 200_000;
    const samples = await takeSampleMessages(bench);
    const measurements = new Measurements();
    await interleave(bench, {
      Redial: () =>
        measurePublisher(bench, measurements, 'Redial', smsCount, (pipeline) =>
          pipeline.startProducer('publish', smsCount),
        ),
      'bare amqplib': () =>
        measurePublisher(bench, measurements, 'bare amqplib', smsCount, (pipeline) =>
          pipeline.start('bench/baselines/bare-publisher.js', [
            ...[String(smsCount), String(MAX_UNCONFIRMED), samples],
          ]),
        ),
    });
    return measurements;
  },
};

async function measurePublisher(
  bench: Bench,
  measurements: Measurements,
  subject: string,
  smsCount: number,
  start: (pipeline: Pipeline) => ReturnType<Pipeline['start']>,
): Promise<void> {
  const pipeline = await Pipeline.open(bench, {});
  const before = pipeline.servers.readCpu();
  const publisher = start(pipeline);
  const { smsPerSecond } = await publisher.answer<{ smsPerSecond: number }>();
  const after = pipeline.servers.readCpu();
  measurements.add(subject, { smsPerSecond, ...cpuPerSms(before, after, publisher.cpuMs, smsCount) });
  await pipeline.close();
}
