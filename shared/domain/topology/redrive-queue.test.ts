import { expect, test } from 'vitest';
import { redriveRoutingKey, withRedriveQueue } from './redrive-queue.ts';
import { queueNamePatternOf, teardownOf, topologyOf } from './topology.ts';

test('the queue of a redrive is declared before all others, and lets RabbitMQ move its SMS to the senders', () => {
  const plain = topologyOf('sms');
  const { queues, bindings } = withRedriveQueue(plain, 'again.1');
  const name = 'sms.redrive.again.1.staged';
  expect(queues.slice(1)).toEqual(plain.queues);
  expect(queues[0]).toEqual({
    name,
    // Never changed lightly: a queue that exists with others is refused.
    arguments: {
      'x-queue-type': 'quorum',
      'x-overflow': 'reject-publish',
      'x-dead-letter-exchange': 'sms',
      'x-dead-letter-routing-key': 'work',
      'x-dead-letter-strategy': 'at-least-once',
      'x-delivery-limit': 1_000_000,
    },
  });
  expect(bindings[0]).toEqual({
    exchange: 'sms.internal',
    queue: name,
    routingKey: redriveRoutingKey('again.1'),
  });
});

test('a reset finds it, and leaves those of other pipelines', () => {
  const names = ['sms.redrive.a.staged', 'sms.redrive.b.lock', 'sms.redrive.work', 'other.redrive.a.staged'];
  expect(teardownOf('sms', names).queues).toEqual(['sms.redrive.a.staged']);
  expect(new RegExp(queueNamePatternOf('sms')).test('sms.redrive.a.staged')).toBe(true);
});
