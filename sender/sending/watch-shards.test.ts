import { expect, test } from 'vitest';
import type { QueueReadings } from '../../shared/ports/queue-reader.ts';
import { Dice } from '../../shared/rehearsal/dice.ts';
import { letRun, ManualClock } from '../../tests/kit/manual-clock.ts';
import { RecordedLog } from '../../tests/kit/recorded-log.ts';
import { ShardWatch } from './watch-shards.ts';

const LOOK_AGAIN_MS = 5_000;

interface WatchOptions {
  readonly shardCount: number;
  readonly told?: () => string[];
  readonly existing?: string[];
  readonly senderCount?: number;
  readonly clock?: ManualClock;
  readonly random?: () => number;
}

function watch(options: WatchOptions) {
  const { clock = new ManualClock(), senderCount = 1, random = () => 0.5 } = options;
  const found: string[] = [];
  const asked: string[] = [];
  const shardWatch = new ShardWatch({
    prefix: 'sms',
    shardCount: options.shardCount,
    queues: {
      async read(): Promise<QueueReadings> {
        if (options.told === undefined) throw new Error('the management API did not answer');
        const queues = options.told().map((name) => ({ name, ready: 0, messages: 0 }));
        return { queues, isComplete: true, readyAgeMs: 0 };
      },
    },
    async exists(queueName) {
      asked.push(queueName);
      return options.existing?.includes(queueName) ?? false;
    },
    onShard: (queueName) => found.push(`${queueName} of ${shardWatch.shardCount}`),
    senderCount: () => senderCount,
    random,
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

test('however many senders live, they list the queues about ten times a second, and not all at once', async () => {
  const dice = new Dice(7);
  const clock = new ManualClock();
  const beganAtMs = clock.nowMs();
  const listedAtMs: number[] = [];
  const told = () => {
    listedAtMs.push(clock.nowMs() - beganAtMs);
    return [];
  };
  const random = () => dice.roll();
  const senderCount = 1_000;
  const senders = Array.from(
    { length: senderCount },
    () => watch({ shardCount: 1, told, senderCount, clock, random }).shardWatch,
  );
  await Promise.all(senders.map((sender) => sender.start()));
  await clock.advance(600_000);
  for (const sender of senders) sender.stop();

  const afterStart = listedAtMs.filter((atMs) => atMs > 0);
  expect(afterStart.length / 600).toBeGreaterThan(8);
  expect(afterStart.length / 600).toBeLessThan(11);
  const bySecond = new Map<number, number>();
  for (const atMs of afterStart) {
    const second = Math.floor(atMs / 1_000);
    bySecond.set(second, (bySecond.get(second) ?? 0) + 1);
  }
  expect(Math.max(...bySecond.values())).toBeLessThan(40);
});
