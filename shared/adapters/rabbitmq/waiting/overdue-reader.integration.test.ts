import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest';
import { numberedIds, PipelineOnRabbitMq } from '../../../../tests/kit/rabbitmq/pipeline-on-rabbitmq.ts';
import { declareWithoutTtl, waitingSms } from '../../../../tests/kit/rabbitmq/stuck-retry-queue.ts';
import { RabbitMqOverdueReader } from './overdue-reader.ts';

let pipeline: PipelineOnRabbitMq;

beforeEach(async () => {
  pipeline = await PipelineOnRabbitMq.start(inject('servers'), [6_000]);
});

afterEach(async () => {
  expect(await pipeline.stop()).toBe(0);
});

function reader(windows?: readonly number[]): RabbitMqOverdueReader {
  return new RabbitMqOverdueReader({
    urls: [pipeline.url],
    name: pipeline.connectionName,
    log: pipeline.log,
    deadlineMs: 20_000,
    ...(windows === undefined ? {} : { windows }),
  });
}

/** Publishes an SMS for each, that many seconds past its time (before it, where negative). */
async function publish(pastSeconds: readonly (number | undefined)[], routingKey = 'retry.1.5s') {
  const publisher = pipeline.publisher();
  const connection = await pipeline.connect([publisher]);
  const nowMs = Date.now();
  await Promise.all(
    pastSeconds.map((past, index) =>
      publisher.publish(
        waitingSms(`sms-${index}`, past === undefined ? undefined : nowMs - past * 1_000, routingKey),
      ),
    ),
  );
  await connection.close();
  return nowMs;
}

describe('a retry queue without a TTL', () => {
  let queueName: string;
  beforeEach(async () => {
    await pipeline.connect();
    queueName = await declareWithoutTtl(pipeline.api, pipeline.prefix);
  });
  afterEach(() => pipeline.api.deleteQueue(queueName).catch(() => {}));

  it('tells how many SMS are overdue and since when, and keeps all of them in their order', async () => {
    const nowMs = await publish([600, 500, 31, 10, -100]);
    for (let look = 0; look < 3; look += 1) {
      const found = await reader().read([queueName]);
      expect([...found]).toEqual([
        [queueName, { overdueCount: 3, firstDueAtMs: nowMs - 600_000, unknownCount: 0, isWhole: true }],
      ]);
    }
    expect(await pipeline.api.takeMessageIds(queueName)).toEqual(numberedIds(5));
  });

  it('is searched over several windows, and up to a limit: then it says so', async () => {
    await publish(Array.from({ length: 30 }, (_, index) => (index < 20 ? 100 : 0)));
    const countOf = async (windows: number[]) => (await reader(windows).read([queueName])).get(queueName);
    expect(await countOf([3, 10, 50])).toMatchObject({ overdueCount: 20, isWhole: true });
    expect(await pipeline.api.takeMessageIds(queueName)).toEqual(numberedIds(30));
    await publish(Array.from({ length: 30 }, () => 100));
    expect(await countOf([3, 10])).toMatchObject({ overdueCount: 14, isWhole: false });
    expect(await countOf([29])).toMatchObject({ overdueCount: 30, isWhole: true });
  });

  it('is searched on behind what was given back and is not overdue', async () => {
    await publish([0, 0, 0, 100]);
    // Somebody has taken them and gone: now they stand before all others.
    const consumer = pipeline.consumer('retry.1.5s', 4);
    const connection = await pipeline.connect([consumer]);
    let takenCount = 0;
    consumer.start(() => {
      takenCount += 1;
    });
    await expect.poll(() => takenCount).toBe(4);
    await connection.close();
    const countOf = async () => (await reader().read([queueName])).get(queueName)?.overdueCount;
    await expect.poll(countOf).toBe(1);
    expect(await pipeline.api.takeMessageIds(queueName)).toEqual(numberedIds(4));
  });

  it('gives no judgement of messages that do not say when they are due, and looks behind them', async () => {
    await publish([undefined, 100, undefined, 0]);
    expect((await reader().read([queueName])).get(queueName)).toMatchObject({
      overdueCount: 1,
      unknownCount: 2,
    });
  });

  it('that is empty or does not exist has nothing overdue', async () => {
    const found = await reader().read([queueName, `${pipeline.prefix}.retry.9.1h`]);
    expect([...found.keys()]).toEqual([queueName]);
    expect(found.get(queueName)?.overdueCount).toBe(0);
  });

  it('is looked at over a connection that is cut in the middle', async () => {
    await publish([100, 0]);
    const reading = reader().read([queueName]);
    await expect.poll(() => pipeline.proxy.connectionCount, { interval: 1 }).toBeGreaterThan(0);
    pipeline.proxy.cut();
    expect((await reading).get(queueName)).toMatchObject({ overdueCount: 1 });
  });
});

// Again where the machine is so busy that one look takes seconds: what it holds when they expire comes later than the others.
it('a retry queue that works is not disturbed by looking: its SMS come back in time and in order', {
  retry: 3,
}, async () => {
  await pipeline.connect();
  const startMs = Date.now();
  await publish([-6, -6, -6, -6, -6, -6], 'retry.1.6s');
  const retry = pipeline.queue('retry.1.6s');
  while (Date.now() < startMs + 3_000) {
    expect((await reader().read([retry])).get(retry)).toMatchObject({ overdueCount: 0 });
  }
  const due: string[] = [];
  const consumer = pipeline.consumer('due');
  await pipeline.connect([consumer]);
  consumer.start(({ message }) => due.push(String(message.messageId)));
  await expect.poll(() => due.length, { timeout: 120_000, interval: 10 }).toBe(6);
  // Later than this only where looking made their time begin anew.
  expect(Date.now() - startMs).toBeLessThan(9_000);
  expect(due).toEqual(numberedIds(6));
});
