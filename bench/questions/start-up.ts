import { RunningProcess } from '../../tests/kit/process/running-process.ts';
import { Measurements } from '../instruments/measurements.ts';
import { Pipeline } from '../instruments/pipeline.ts';
import { takeSampleMessages } from '../instruments/sample-messages.ts';
import { interleave, type Question } from '../question.ts';
import { DRAIN_SETTINGS } from './drain.ts';
import { MAX_UNCONFIRMED } from './publish.ts';

const ONE_SMS = ['--num-messages', '1', '--json', '--no-progress'];

export const startUp: Question = {
  name: 'start-up',
  title: 'How soon does a command work?',
  method: [
    'Senders: from starting the command to the start of the first attempt, as it stands in S3, with ' +
      'one SMS waiting and everything declared. The bare consumer: to its first delivery.',
    'Producers: from starting the command with one SMS to its exit. The bare publisher alike.',
    '`node` is `node dist/…/main.js`, `npx` is what people type.',
  ],
  async ask(bench) {
    const measurements = new Measurements();
    const pipeline = await Pipeline.open(bench, DRAIN_SETTINGS);
    const samples = await takeSampleMessages(bench);
    await pipeline.produce('first', 1);
    const declaring = pipeline.startSender();
    await pipeline.waitForOutcomes('first', 1);
    await declaring.stop();
    const npx = (name: string, args: readonly string[] = []) =>
      new RunningProcess({
        ...{ program: 'npx', args: [name, ...args], folder: bench.projectFolder, isGroup: true },
        environment: { ...pipeline.environment, npm_config_update_notifier: 'false' },
      });
    const toFirstAttempt = (subject: string, start: () => RunningProcess) => (round: number) =>
      measureFirstAttempt(pipeline, measurements, subject, `${subject.replace(' ', '-')}-${round}`, start);
    const toExit = (subject: string, start: () => RunningProcess) => () =>
      measureExit(measurements, subject, start);
    const start = (file: string, args: readonly string[] = []) => pipeline.start(file, args);

    await interleave(bench, {
      'node sender': toFirstAttempt('node sender', () => start('sender/main.js')),
      'npx sender': toFirstAttempt('npx sender', () => npx('sender')),
      'bare consumer': () => measureBareConsumer(pipeline, measurements),
      'node producer': toExit('node producer', () => start('producer/main.js', ONE_SMS)),
      'npx producer': toExit('npx producer', () => npx('producer', ONE_SMS)),
      'bare publisher': toExit('bare publisher', () =>
        start('bench/baselines/bare-publisher.js', ['1', String(MAX_UNCONFIRMED), samples]),
      ),
    });
    await pipeline.close();
    return measurements;
  },
};

async function measureFirstAttempt(
  pipeline: Pipeline,
  measurements: Measurements,
  subject: string,
  run: string,
  start: () => RunningProcess,
): Promise<void> {
  await pipeline.servers.purge(pipeline.workQueue);
  await pipeline.produce(run, 1);
  await pipeline.servers.waitUntilIdle();
  const sender = start();
  await pipeline.waitForOutcomes(run, 1);
  const [record] = await pipeline.records(run);
  const firstAttemptAtMs = Date.parse(record?.attempts[0]?.startedAt ?? '');
  await sender.stop();
  measurements.add(subject, { startUpMs: firstAttemptAtMs - sender.spawnedAtMs });
}

async function measureBareConsumer(pipeline: Pipeline, measurements: Measurements): Promise<void> {
  await pipeline.servers.purge(pipeline.workQueue);
  await pipeline.produce('bare', 1);
  await pipeline.servers.waitUntilIdle();
  const consumer = pipeline.start('bench/baselines/bare-consumer.js', [pipeline.workQueue, '1', '1']);
  const [firstDeliveryAtMs] = /\d+$/.exec(await consumer.says('first delivery at')) ?? [];
  const startUpMs = Number(firstDeliveryAtMs) - consumer.spawnedAtMs;
  await consumer.answer();
  measurements.add('bare consumer', { startUpMs, startUpCpuMs: consumer.cpuMs });
}

async function measureExit(
  measurements: Measurements,
  subject: string,
  start: () => RunningProcess,
): Promise<void> {
  const program = start();
  await program.answer();
  measurements.add(subject, {
    startUpMs: program.endedAtMs - program.spawnedAtMs,
    startUpCpuMs: program.cpuMs,
  });
}
