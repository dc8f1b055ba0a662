import { array, integer, stringMatching } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { forAll } from '../testing/for-all.ts';
import { MAX_DURATION_MS } from './duration.ts';
import {
  countShards,
  describeTopology,
  parseRetryQueueName,
  parseWorkQueueName,
  queueNameOf,
  retryQueueNamesOf,
  retryRoutingKey,
} from './topology.ts';

const prefixes = stringMatching(/^[A-Za-z0-9._-]{1,100}$/);
const delays = integer({ min: 1, max: MAX_DURATION_MS });
const schedules = array(delays, { maxLength: 50 });

// The same on RabbitMQ 3.10 and 4.x, and never changed lightly: a queue that exists with others is refused.
const deadLetterTo = (routingKey: string) => ({
  'x-queue-type': 'quorum',
  'x-dead-letter-exchange': 'sms.internal',
  'x-dead-letter-routing-key': routingKey,
  'x-dead-letter-strategy': 'at-least-once',
  'x-overflow': 'reject-publish',
});
const consumed = { ...deadLetterTo('dead-letters'), 'x-delivery-limit': 1_000_000 };
const internal = { exchange: 'sms.internal' };

test('the pipeline is these queues with exactly these arguments', () => {
  expect(describeTopology('sms', [5_000, 30_000])).toEqual({
    exchanges: ['sms', 'sms.internal'],
    queues: [
      {
        name: 'sms.parked',
        ...internal,
        routingKey: 'parked',
        arguments: { 'x-queue-type': 'quorum', 'x-overflow': 'reject-publish' },
      },
      {
        name: 'sms.dead-letters',
        ...internal,
        routingKey: 'dead-letters',
        arguments: { ...deadLetterTo('parked'), 'x-delivery-limit': 1_000_000 },
      },
      { name: 'sms.journal', ...internal, routingKey: 'journal', arguments: consumed },
      {
        name: 'sms.journal.later',
        ...internal,
        routingKey: 'journal.later',
        arguments: { ...deadLetterTo('journal'), 'x-message-ttl': 20_000 },
      },
      { name: 'sms.due', ...internal, routingKey: 'due', arguments: consumed },
      {
        name: 'sms.retry.1.5s',
        ...internal,
        routingKey: 'retry.1.5s',
        arguments: { ...deadLetterTo('due'), 'x-message-ttl': 5_000 },
      },
      {
        name: 'sms.retry.2.30s',
        ...internal,
        routingKey: 'retry.2.30s',
        arguments: { ...deadLetterTo('due'), 'x-message-ttl': 30_000 },
      },
      { name: 'sms.work', exchange: 'sms', routingKey: 'work', arguments: consumed },
    ],
  });
});

test('a work queue spread over several has the same arguments in each, and names that are read back', () => {
  const { queues } = describeTopology('sms', [], 3);
  expect(queues.slice(-3)).toEqual([
    { name: 'sms.work', exchange: 'sms', routingKey: 'work', arguments: consumed },
    { name: 'sms.work.1', exchange: 'sms', routingKey: 'work.1', arguments: consumed },
    { name: 'sms.work.2', exchange: 'sms', routingKey: 'work.2', arguments: consumed },
  ]);
  expect(queues.map(({ name }) => parseWorkQueueName('sms', name))).toEqual([
    ...[undefined, undefined, undefined, undefined, undefined],
    ...[0, 1, 2],
  ]);
  for (const name of ['sms.work.0', 'sms.work.01', 'sms.work.64', 'sms.work.', 'sms.worker', 'sms.a.work'])
    expect(parseWorkQueueName('sms', name)).toBeUndefined();
  expect(countShards('sms', queues)).toBe(3);
  expect(countShards('sms', [])).toBe(1);
});

describe('whatever the schedule', () => {
  const ofAnyPipeline = (holds: (topology: ReturnType<typeof describeTopology>, prefix: string) => void) =>
    forAll(prefixes, schedules, (prefix, schedule) => {
      holds(describeTopology(prefix, schedule), prefix);
    });

  test('a dead letter finds its queue already declared, and no queue is there twice', () => {
    ofAnyPipeline(({ exchanges: [, internalExchange], queues }) => {
      const declared = new Set<unknown>();
      for (const queue of queues) {
        const target = queue.arguments['x-dead-letter-routing-key'];
        if (target !== undefined) {
          expect(declared).toContain(target);
          expect(queue.arguments['x-dead-letter-exchange']).toBe(internalExchange);
        }
        expect(declared).not.toContain(queue.routingKey);
        declared.add(queue.routingKey);
      }
    });
  });

  test('every queue is a quorum queue that loses nothing on its way to another', () => {
    const allowed = new Set([...Object.keys(consumed), 'x-message-ttl']);
    ofAnyPipeline(({ queues }) => {
      for (const { arguments: given } of queues) {
        expect(Object.keys(given).filter((name) => !allowed.has(name))).toEqual([]);
        expect(given).toMatchObject({ 'x-queue-type': 'quorum', 'x-overflow': 'reject-publish' });
        if ('x-dead-letter-exchange' in given) expect(given['x-dead-letter-strategy']).toBe('at-least-once');
      }
    });
  });

  // A cycle of nothing but expiry is dropped by RabbitMQ; a consumed queue never expires its messages.
  test('only queues of those who wait expire their messages, and only to a queue that is consumed', () => {
    ofAnyPipeline(({ queues }, prefix) => {
      for (const { name, routingKey, arguments: given } of queues) {
        const isRetry = parseRetryQueueName(prefix, name) !== undefined;
        expect('x-message-ttl' in given).toBe(isRetry || routingKey === 'journal.later');
        if (isRetry) expect(given['x-dead-letter-routing-key']).toBe('due');
        if (routingKey === 'journal.later') expect(given['x-dead-letter-routing-key']).toBe('journal');
      }
    });
  });

  test('who may write to the exchange of fresh SMS reaches work queues and nothing else', () => {
    ofAnyPipeline(({ exchanges: [fresh, internalExchange], queues }, prefix) => {
      for (const { name, exchange } of queues) {
        const isWork = parseWorkQueueName(prefix, name) !== undefined;
        expect(exchange).toBe(isWork ? fresh : internalExchange);
      }
    });
  });
});

test('a retry queue tells attempt and delay by its name', () => {
  forAll(prefixes, integer({ min: 1, max: 1_000 }), delays, (prefix, failedAttempt, delayMs) => {
    const name = queueNameOf(prefix, retryRoutingKey(failedAttempt, delayMs));
    expect(parseRetryQueueName(prefix, name)).toEqual({ failedAttempt, delayMs });
  });
});

test.each(['sms.work', 'sms.parked', 'other.retry.1.5s', 'sms.retry.1', 'sms.retry.x.5s', 'sms.retry.1.5x'])(
  '%s is no retry queue of sms',
  (name) => expect(parseRetryQueueName('sms', name)).toBeUndefined(),
);

test('the retry queues of a pipeline are found among its queues, also those of another schedule', () => {
  const names = ['sms.work', 'sms.retry.1.5s', 'sms.due', 'sms.retry.7.3h', 'other.retry.1.5s'];
  expect(
    retryQueueNamesOf(
      'sms',
      names.map((name) => ({ name })),
    ),
  ).toEqual(['sms.retry.1.5s', 'sms.retry.7.3h']);
});
