import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, inject, test, vi } from 'vitest';
import {
  messageWith,
  numberedIds,
  PipelineOnRabbitMq,
} from '../../../tests/kit/rabbitmq/pipeline-on-rabbitmq.ts';
import { UncaughtErrors } from '../../../tests/kit/uncaught-errors.ts';

const servers = inject('servers');

let pipeline: PipelineOnRabbitMq;
let uncaught: UncaughtErrors;
beforeEach(async () => {
  uncaught = new UncaughtErrors();
  pipeline = await PipelineOnRabbitMq.start(servers);
});
afterEach(async () => {
  pipeline.proxy.releaseAnswers();
  expect(await pipeline.stop()).toBe(0);
  uncaught.stop();
  expect(uncaught.seen).toEqual([]);
});

/** What became of a promise so far. */
function fateOf(promise: Promise<unknown>): { readonly value: string } {
  const fate = { value: 'open' };
  promise.then(
    () => {
      fate.value = 'confirmed';
    },
    (error: { code?: string }) => {
      fate.value = error.code ?? String(error);
    },
  );
  return fate;
}

test('a message that RabbitMQ holds but has not confirmed is not accepted yet', async () => {
  const publisher = pipeline.publisher();
  await pipeline.connect([publisher]);
  pipeline.proxy.holdAnswers();
  const published = publisher.publish(messageWith('sms-1'));
  const fate = fateOf(published);
  await vi.waitUntil(async () => (await pipeline.api.takeMessageIds(pipeline.queue('work')))[0] === 'sms-1', {
    timeout: 120_000,
  });
  expect(fate.value).toBe('open');
  pipeline.proxy.releaseAnswers();
  await published;
});

test('what goes to RabbitMQ is persistent and carries its properties', async () => {
  const publisher = pipeline.publisher();
  await pipeline.connect([publisher]);
  await publisher.publish({ ...messageWith('sms-1'), headers: { attempt: 2, run: 'demo' } });
  const [taken] = await pipeline.api.call<[{ properties: object; exchange: string }]>(
    'POST',
    `queues/%2F/${pipeline.queue('work')}/get`,
    { count: 1, ackmode: 'ack_requeue_false', encoding: 'auto' },
  );
  expect(taken).toMatchObject({
    exchange: pipeline.prefix,
    properties: {
      message_id: 'sms-1',
      type: 'sms',
      app_id: 'redial',
      content_type: 'application/json',
      delivery_mode: 2,
      timestamp: 1_700_000_000,
      headers: { attempt: 2, run: 'demo' },
    },
  });
});

test('a message without a queue is refused, and the next one finds its queue declared again', async () => {
  const publisher = pipeline.publisher();
  await pipeline.connect([publisher]);
  await pipeline.api.deleteBinding(pipeline.prefix, pipeline.queue('work'), 'work');
  await expect(publisher.publish(messageWith('sms-1'))).rejects.toMatchObject({ code: 'UNROUTABLE' });
  await publisher.publish(messageWith('sms-1'));
  expect(await pipeline.api.takeMessageIds(pipeline.queue('work'))).toEqual(['sms-1']);
});

test('of several unroutable messages with the same id none counts as confirmed', async () => {
  const publisher = pipeline.publisher();
  await pipeline.connect([publisher]);
  await pipeline.api.deleteBinding(pipeline.prefix, pipeline.queue('work'), 'work');
  const published = await Promise.allSettled(
    Array.from({ length: 20 }, () => publisher.publish(messageWith('sms-1'))),
  );
  expect(published.filter(({ status }) => status === 'fulfilled')).toEqual([]);
});

test('never more than the window is unconfirmed, the rest waits for room', async () => {
  const publisher = pipeline.publisher({ maxUnconfirmed: 10 });
  await pipeline.connect([publisher]);
  pipeline.proxy.holdAnswers();
  let highest = 0;
  const published = Promise.all(
    numberedIds(200).map(async (id) => {
      const publish = publisher.publish(messageWith(id));
      highest = Math.max(highest, publisher.unconfirmedCount);
      await publish;
      highest = Math.max(highest, publisher.unconfirmedCount);
    }),
  );
  await sleep(100);
  expect(publisher.unconfirmedCount).toBe(10);
  pipeline.proxy.releaseAnswers();
  await published;
  expect(highest).toBe(10);
  expect(publisher.unconfirmedCount).toBe(0);
  expect((await pipeline.api.takeMessageIds(pipeline.queue('work'))).sort()).toEqual(numberedIds(200).sort());
});

test('a connection killed in the middle of 2,000 publishes loses none: each is confirmed or said to be unknown', async () => {
  const publisher = pipeline.publisher({ maxUnconfirmed: 300 });
  const connection = await pipeline.connect([publisher]);
  await vi.waitUntil(async () => (await pipeline.api.connections(pipeline.connectionName)).length === 1, {
    timeout: 120_000,
  });
  const ids = numberedIds(2_000);
  let confirmedCount = 0;
  let killed: Promise<number> | undefined;
  const publishAll = (some: readonly string[]) =>
    Promise.allSettled(
      some.map(async (id) => {
        await publisher.publish(messageWith(id));
        confirmedCount += 1;
        if (confirmedCount === 100) killed = pipeline.api.killConnections(pipeline.connectionName);
      }),
    );
  const results = await publishAll(ids);
  expect(await killed).toBe(1);
  const unknown = ids.filter((_, index) => results[index]?.status === 'rejected');
  for (const result of results)
    if (result.status === 'rejected') expect(result.reason).toMatchObject({ code: 'PUBLISH_UNKNOWN' });
  // What only waited for room was not sent, so nothing about it is unknown.
  expect(unknown.length).toBeGreaterThan(0);
  expect(unknown.length).toBeLessThanOrEqual(300);

  for (const result of await publishAll(unknown)) expect(result.status).toBe('fulfilled');
  expect(connection.isUp).toBe(true);
  const stored = await pipeline.api.takeMessageIds(pipeline.queue('work'));
  expect(new Set(stored)).toEqual(new Set(ids));

  await connection.close();
  const left = () => pipeline.api.connections(pipeline.connectionName);
  await vi.waitUntil(async () => (await left()).length === 0, { timeout: 120_000 });
});

test('a message that had to wait long for room has its whole deadline for the confirm', async () => {
  const publisher = pipeline.publisher({ maxUnconfirmed: 1, deadlineMs: 2_000 });
  await pipeline.connect([publisher]);
  pipeline.proxy.holdAnswers();
  const first = publisher.publish(messageWith('sms-1'));
  const second = publisher.publish(messageWith('sms-2'));
  await sleep(1_600);
  pipeline.proxy.releaseAnswers();
  await first;
  pipeline.proxy.holdAnswers();
  const fate = fateOf(second);
  await sleep(1_700);
  expect(fate.value).toBe('open');
  pipeline.proxy.releaseAnswers();
  await second;
  expect(pipeline.log.count('away')).toBe(0);
});

test('a RabbitMQ that answers nothing rejects within the deadline, also what waited for room, and works again later', async () => {
  const publisher = pipeline.publisher({ maxUnconfirmed: 5, deadlineMs: 500 });
  await pipeline.connect([publisher]);
  pipeline.proxy.holdAnswers();
  const startedAt = performance.now();
  const published = await Promise.allSettled(numberedIds(20).map((id) => publisher.publish(messageWith(id))));
  expect(performance.now() - startedAt).toBeLessThan(500 + 1_000 + 5_000);
  for (const result of published)
    expect(result).toMatchObject({ status: 'rejected', reason: { code: 'PUBLISH_UNKNOWN' } });
  pipeline.proxy.releaseAnswers();
  await vi.waitFor(() => publisher.publish(messageWith('sms-again')), { timeout: 120_000 });
});

test('while there is no connection publishes wait for it, up to the deadline', async () => {
  const publisher = pipeline.publisher({ deadlineMs: 500 });
  const connection = await pipeline.connect([publisher]);
  await pipeline.proxy.close();
  await vi.waitUntil(() => !connection.isUp, { timeout: 120_000 });
  await expect(publisher.publish(messageWith('sms-1'))).rejects.toMatchObject({ code: 'PUBLISH_UNKNOWN' });
  await pipeline.proxy.open();
  await vi.waitFor(() => publisher.publish(messageWith('sms-2')), { timeout: 120_000 });
  expect(await pipeline.api.takeMessageIds(pipeline.queue('work'))).toEqual(['sms-2']);
});

test('a message that AMQP cannot carry is refused for good, and harms no other', async () => {
  const publisher = pipeline.publisher();
  await pipeline.connect([publisher]);
  const before = publisher.publish(messageWith('sms-1'));
  const tooLarge = publisher.publish({ ...messageWith('sms-2'), headers: { history: 'x'.repeat(70_000) } });
  const tooLongId = publisher.publish(messageWith('x'.repeat(300)));
  const after = publisher.publish(messageWith('sms-3'));
  await expect(tooLarge).rejects.toMatchObject({ code: 'UNENCODABLE' });
  await expect(tooLongId).rejects.toMatchObject({ code: 'UNENCODABLE' });
  await Promise.all([before, after]);
  expect(await pipeline.api.takeMessageIds(pipeline.queue('work'))).toEqual(['sms-1', 'sms-3']);
  expect(publisher.unconfirmedCount).toBe(0);
});

test('closing settles every publish', async () => {
  const publisher = pipeline.publisher({ maxUnconfirmed: 5 });
  const connection = await pipeline.connect([publisher]);
  pipeline.proxy.holdAnswers();
  const published = Promise.allSettled(numberedIds(20).map((id) => publisher.publish(messageWith(id))));
  await connection.close();
  publisher.abandon();
  for (const result of await published)
    expect(result).toMatchObject({ status: 'rejected', reason: { code: 'PUBLISH_UNKNOWN' } });
});
