import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import type { IncomingMessage } from '../../../../shared/domain/sms/message.ts';
import { numberedIds, PipelineOnRabbitMq } from '../../../../tests/kit/rabbitmq/pipeline-on-rabbitmq.ts';
import { WaitingQueues } from './waiting-queues.ts';

let pipeline: PipelineOnRabbitMq;
beforeAll(async () => {
  pipeline = await PipelineOnRabbitMq.start(inject('servers'), [3_600_000, 10_000]);
});
afterAll(() => pipeline.stop());

/** Takes so many messages. */
async function take(routingKey: string, count: number): Promise<IncomingMessage[]> {
  const taken: IncomingMessage[] = [];
  const consumer = pipeline.consumer(routingKey);
  const connection = await pipeline.connect([consumer]);
  consumer.start((delivery) => {
    taken.push(delivery.message);
    delivery.acknowledge();
  });
  await expect.poll(() => taken.length, { timeout: 120_000 }).toBe(count);
  await connection.close();
  return taken;
}

const idsOf = (messages: readonly IncomingMessage[]) => messages.map(({ messageId }) => messageId);

test('wanted SMS go to due as they are, and the others keep their order and their time, however often looked at', async () => {
  const [hour, tenSeconds] = ['retry.1.1h', 'retry.2.10s'];
  await pipeline.fill(hour, numberedIds(1_500));
  const waiting = new WaitingQueues();
  await pipeline.connect([waiting]);
  const wanted = new Set(['sms-1', 'sms-1200']);
  const choose = ({ messageId }: IncomingMessage) => (wanted.has(String(messageId)) ? messageId : undefined);
  for (let look = 1; look <= 6; look += 1) {
    const looked = await waiting.look(pipeline.queue(hour), choose);
    expect([looked?.found, looked?.isWhole]).toEqual([['sms-1', 'sms-1200'], true]);
    await looked?.close();
  }
  await (await waiting.look(pipeline.queue(hour), choose))?.pull();
  const due = await take('due', 2);
  expect(idsOf(due).sort()).toEqual(['sms-1', 'sms-1200']);
  // Looks do not make suspects of them: the count of deliveries belongs to the queue.
  for (const message of due) expect(Number(message.headers['x-delivery-count'] ?? 0)).toBeLessThan(5);
  expect(due.map(({ isRedelivered }) => isRedelivered)).toEqual([false, false]);
  expect(idsOf(await take(hour, 1_498))).toEqual(numberedIds(1_500).filter((id) => !wanted.has(id)));
  await pipeline.fill(tenSeconds, ['late-0']);
  const filledAtMs = Date.now();
  await (await waiting.look(pipeline.queue(tenSeconds), choose))?.close();
  expect(idsOf(await take('due', 1))).toEqual(['late-0']);
  expect(Date.now() - filledAtMs).toBeLessThan(18_000);
  expect(await waiting.look(pipeline.queue('nowhere'), choose)).toBeUndefined();
});
