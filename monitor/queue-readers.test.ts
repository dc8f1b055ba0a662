import { describe, expect, it } from 'vitest';
import { ServerUnavailableError } from '../shared/errors.ts';
import type { QueueReader } from '../shared/ports.ts';
import { CrossCheckedQueueReader } from './cross-checked-queues.ts';
import { FallbackQueueReader, type InspectQueues } from './queue-fallback.ts';

const WORK = { name: 'sms.work', messages: 3, consumers: 2 };
const answering: QueueReader = { read: async () => ({ queues: [WORK], isComplete: true }) };
const gone: QueueReader = {
  read: () => Promise.reject(new ServerUnavailableError('no management here', { isRefusal: false })),
};
const passive: InspectQueues = async (names) =>
  new Map(
    names.map((name) => [name, name === 'sms.work' ? { messageCount: 9, consumerCount: 1 } : undefined]),
  );
const refusing: InspectQueues = () =>
  Promise.reject(new ServerUnavailableError('RabbitMQ is gone', { isRefusal: false }));

describe('reading the queues', () => {
  it('takes what the management API tells', async () => {
    const reader = new FallbackQueueReader(answering, refusing, ['sms.work']);
    expect(await reader.read()).toEqual({ queues: [WORK], isComplete: true });
  });

  it('asks RabbitMQ itself where the management API is away, and says that this is not all', async () => {
    const reader = new FallbackQueueReader(gone, passive, ['sms.work', 'sms.due']);
    expect(await reader.read()).toEqual({
      queues: [{ name: 'sms.work', messages: 9, consumers: 1 }],
      isComplete: false,
      problem: 'no management here',
    });
  });

  it('fails where neither answers', async () => {
    const reader = new FallbackQueueReader(gone, refusing, ['sms.work']);
    await expect(reader.read()).rejects.toMatchObject({
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
    const reader = new FallbackQueueReader(gone, hanging, ['sms.work']);
    void reader.read();
    await expect(reader.read()).rejects.toMatchObject({ message: 'no management here' });
    expect(inspections).toBe(1);
  });

  it('believes for the audit the larger of both, as statistics are old', async () => {
    const messagesWith = async (inspect: InspectQueues) =>
      (await new CrossCheckedQueueReader(answering, inspect).read()).queues[0]?.messages;
    expect(await messagesWith(passive)).toBe(9);
    expect(
      await messagesWith(async () => new Map([['sms.work', { messageCount: 0, consumerCount: 0 }]])),
    ).toBe(3);
    expect(await messagesWith(refusing)).toBe(3);
  });
});
