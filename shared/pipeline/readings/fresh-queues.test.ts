import { describe, expect, it } from 'vitest';
import { ServerUnavailableError } from '../../errors.ts';
import type { QueueReader, QueueReading } from '../../ports/queue-reader.ts';
import { FreshQueueReader, type InspectQueues } from './fresh-queues.ts';

const WORK = { name: 'sms.work', ready: 1, messages: 3 };
const telling = (...queues: QueueReading[]): QueueReader => ({
  read: async () => ({ queues, isComplete: true, readyAgeMs: 5_000 }),
});
const gone: QueueReader = {
  read: () => Promise.reject(new ServerUnavailableError('no management here', { isRefusal: false })),
};
const holding =
  (ready: Record<string, number>): InspectQueues =>
  async (names) =>
    new Map(
      names.map((name) => {
        const messageCount = ready[name];
        return [name, messageCount === undefined ? undefined : { messageCount }];
      }),
    );
const refusing: InspectQueues = () =>
  Promise.reject(new ServerUnavailableError('RabbitMQ is gone', { isRefusal: false }));

describe('reading the queues', () => {
  it('takes the names from the management API, and the ready messages from RabbitMQ itself', async () => {
    const retry = { name: 'sms.retry.7.3h', ready: 0, messages: 0, deadLettering: 4 };
    const reader = new FreshQueueReader(
      telling(WORK, retry),
      holding({ 'sms.work': 0, 'sms.retry.7.3h': 9 }),
      [],
    );
    expect(await reader.read()).toEqual({
      queues: [
        { ...WORK, ready: 0 },
        { ...retry, ready: 9, messages: 9 },
      ],
      isComplete: true,
      readyAgeMs: 0,
    });
  });

  it('leaves out a queue that is gone since the management API told of it', async () => {
    expect((await new FreshQueueReader(telling(WORK), holding({}), []).read()).queues).toEqual([]);
  });

  it('takes what the management API tells where RabbitMQ itself says nothing, and how old that is', async () => {
    const reader = new FreshQueueReader(telling(WORK), refusing, ['sms.work']);
    expect(await reader.read()).toEqual({ queues: [WORK], isComplete: true, readyAgeMs: 5_000 });
  });

  it('asks for the queues it knows where the management API is away, and says that this is not all', async () => {
    let management = telling({ ...WORK, name: 'sms.retry.7.3h' });
    const passive = holding({ 'sms.work': 9, 'sms.retry.7.3h': 2 });
    const reader = new FreshQueueReader({ read: () => management.read() }, passive, ['sms.work', 'sms.due']);
    await reader.read();
    management = gone;
    expect(await reader.read()).toEqual({
      queues: [
        { name: 'sms.work', ready: 9, messages: 9 },
        { name: 'sms.retry.7.3h', ready: 2, messages: 2 },
      ],
      isComplete: false,
      problem: 'no management here',
      readyAgeMs: 0,
    });
  });

  it('fails where neither answers', async () => {
    await expect(new FreshQueueReader(gone, refusing, ['sms.work']).read()).rejects.toMatchObject({
      code: 'SERVER_UNREACHABLE',
      message: 'RabbitMQ is gone',
    });
  });

  it('asks a RabbitMQ that hangs no second time before it has answered', async () => {
    let inspections = 0;
    const hanging: InspectQueues = () => {
      inspections += 1;
      return new Promise(() => {});
    };
    const reader = new FreshQueueReader(telling(WORK), hanging, ['sms.work']);
    void reader.read();
    await new Promise((resolve) => setImmediate(resolve));
    expect(await reader.read()).toMatchObject({ queues: [WORK], readyAgeMs: 5_000 });
    expect(inspections).toBe(1);
  });
});
