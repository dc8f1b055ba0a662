import { expect, test } from 'vitest';
import type { QueueReadings } from '../shared/ports.ts';
import { letRun, ManualClock } from '../shared/testing/manual-clock.ts';
import { RecordedLog } from '../shared/testing/recorded-log.ts';
import { ShardWatch } from './watch-shards.ts';

const LOOK_AGAIN_MS = 5_000;

function watch(options: { shardCount: number; told?: () => string[]; existing?: string[] }) {
  const clock = new ManualClock();
  const found: string[] = [];
  const asked: string[] = [];
  const shardWatch = new ShardWatch({
    prefix: 'sms',
    shardCount: options.shardCount,
    queues: {
      async read(): Promise<QueueReadings> {
        if (options.told === undefined) throw new Error('the management API did not answer');
        const queues = options.told().map((name) => ({ name, messages: 0, consumers: 0 }));
        return { queues, isComplete: true };
      },
    },
    async exists(queueName) {
      asked.push(queueName);
      return options.existing?.includes(queueName) ?? false;
    },
    onShard: (queueName, shardCount) => found.push(`${queueName} of ${shardCount}`),
    clock,
    log: new RecordedLog(),
  });
  return { shardWatch, clock, found, asked };
}

test('shards beyond our own number are found, also behind one that was deleted', async () => {
  const { shardWatch, found, asked } = watch({
    shardCount: 2,
    told: () => [
      'sms.work',
      'sms.work.1',
      'sms.work.2',
      'sms.work.4',
      'sms.work.x',
      'other.work.9',
      'sms.due',
    ],
  });
  await shardWatch.start();
  expect(found).toEqual(['sms.work.2 of 3', 'sms.work.3 of 4', 'sms.work.4 of 5']);
  expect(asked).toEqual([]);
});

test('a shard that appears later is found once, until the watch is stopped', async () => {
  const told = ['sms.work'];
  const { shardWatch, clock, found } = watch({ shardCount: 1, told: () => told });
  await shardWatch.start();
  expect(found).toEqual([]);
  told.push('sms.work.1');
  await clock.advance(LOOK_AGAIN_MS * 3);
  expect(found).toEqual(['sms.work.1 of 2']);
  shardWatch.stop();
  told.push('sms.work.2');
  await clock.advance(LOOK_AGAIN_MS * 3);
  await letRun();
  expect(found).toEqual(['sms.work.1 of 2']);
  expect(clock.timerCount).toBe(0);
});

test('without the management API RabbitMQ itself is asked, once, up to the first that is not there', async () => {
  const { shardWatch, clock, found, asked } = watch({
    shardCount: 1,
    existing: ['sms.work', 'sms.work.1', 'sms.work.2'],
  });
  await shardWatch.start();
  expect(found).toEqual(['sms.work.1 of 2', 'sms.work.2 of 3']);
  expect(asked).toEqual(['sms.work.1', 'sms.work.2', 'sms.work.3']);
  await clock.advance(LOOK_AGAIN_MS * 2);
  expect(asked).toHaveLength(3);
  shardWatch.stop();
});
