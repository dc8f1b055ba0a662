/** `producer redrive` while its RabbitMQ is killed. */
import { join } from 'node:path';
import { afterEach, expect, inject, test } from 'vitest';
import { PipelineUnderTest } from './kit/process/pipeline-under-test.ts';
import { isThorough } from './kit/process/thorough.ts';
import { startTestedRabbitMq } from './kit/rabbitmq/tested-rabbitmq.ts';
import { waitFor, waitUntil } from './kit/wait-for.ts';

const servers = inject('servers');
const KILLS = 5;
const COUNT = 600;
const ends: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

// A RabbitMQ of its own, killed five times, takes two minutes.
test.runIf(isThorough)(
  'RabbitMQ killed under a redrive: each SMS is sent again, and has one outcome',
  async () => {
    const broker = await startTestedRabbitMq(join(servers.folder, 'redrive-killed'));
    ends.push(() => broker.stop({ signal: 'SIGKILL' }));
    const own = { ...servers, rabbitmqUrl: broker.amqpUrl, managementUrl: broker.managementUrl };
    const pipeline = new PipelineUnderTest(own, 'redrive-killed', {
      ...{ PERMANENT_FAILURE_SHARE: '0', RETRY_SCHEDULE: '1ms', OUTCOME_BATCH_SECONDS: '0.2' },
      MEAN_PROCESSING_TIME: '0.001',
    });
    ends.push(() => pipeline.end());
    const failing = await pipeline.startSender({ FAILURE_RATE: '1' });
    await pipeline.produce(COUNT, 'a');
    await pipeline.waitUntilDone(COUNT);
    await failing.stop();
    await pipeline.startSender({ FAILURE_RATE: '0' });

    const redrive = () =>
      pipeline.start('producer', [
        'redrive',
        '--status',
        'failed',
        '--run-of',
        'a',
        '--run',
        'again',
        '--rate',
        '20',
      ]);
    const sentAgain = async () =>
      new Set((await pipeline.records()).filter(({ run }) => run === 'again').map(({ smsId }) => smsId));
    let current = redrive();
    const interruptions: string[] = [];
    for (let kill = 1; kill <= KILLS; kill += 1) {
      await waitUntil('some to be sent', sentAgain, ({ size }) => size >= (kill * COUNT) / (KILLS + 2));
      await broker.stop({ signal: 'SIGKILL' });
      await broker.start();
      if (!current.hasEnded) continue;
      const { exitCode, stderr } = await current.ended;
      interruptions.push(`${exitCode}: ${stderr.trim().split('\n').at(-1)}`);
      current = redrive();
    }
    for (;;) {
      const { exitCode, stderr } = await current.ended;
      if (exitCode === 0) break;
      interruptions.push(`${exitCode}: ${stderr.trim().split('\n').at(-1)}`);
      expect(interruptions.length, interruptions.join('\n')).toBeLessThan(2 * KILLS);
      current = redrive();
    }
    if (interruptions.length > 0) process.stderr.write(`${interruptions.join('\n')}\n`);

    await waitFor('every outcome', async () => (await sentAgain()).size === COUNT);
    const again = (await pipeline.records()).filter(({ run }) => run === 'again');
    expect(new Set(again.map(({ redriveOf }) => redriveOf)).size).toBe(COUNT);
    expect(again.every(({ status }) => status === 'sent')).toBe(true);
    expect(await pipeline.waitUntilDone(2 * COUNT)).toMatchObject({ accepted: 2 * COUNT, idConflicts: 0 });
    expect((await pipeline.auditStill()).report).toMatchObject({ balanced: true, missing: 0 });
  },
);
