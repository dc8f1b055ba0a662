import { array, integer, stringMatching } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { forAll } from '../../../tests/kit/for-all.ts';
import { MAX_DURATION_MS } from '../schedule/duration.ts';
import {
  countShards,
  eventsExchangeOf,
  HOLD_MARGIN_MS,
  holdRoutingKeyFor,
  parseHoldQueueName,
  parseRetryQueueName,
  parseWorkQueueName,
  queueNameOf,
  queueNamePatternOf,
  retryRoutingKey,
  teardownOf,
  topologyOf,
  waitingQueueNamesOf,
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
const HOLD_SECONDS = [1, 4, 16, 64, 256, 1_024, 4_096, 16_384, 65_536, 262_144];
const consumed = { ...deadLetterTo('dead-letters'), 'x-delivery-limit': 1_000_000 };

test('the pipeline is these queues with exactly these arguments', () => {
  expect(topologyOf('sms', [5_000, 30_000])).toEqual({
    exchanges: [
      { name: 'sms', type: 'direct' },
      { name: 'sms.internal', type: 'direct' },
    ],
    queues: [
      {
        name: 'sms.parked',
        arguments: { 'x-queue-type': 'quorum', 'x-overflow': 'reject-publish' },
      },
      {
        name: 'sms.dead-letters',
        arguments: { ...deadLetterTo('parked'), 'x-delivery-limit': 1_000_000 },
      },
      { name: 'sms.journal', arguments: consumed },
      {
        name: 'sms.journal.later',
        arguments: { ...deadLetterTo('journal'), 'x-message-ttl': 20_000 },
      },
      { name: 'sms.due', arguments: consumed },
      ...HOLD_SECONDS.map((seconds) => ({
        name: `sms.hold.${seconds}s`,
        arguments: { ...deadLetterTo('due'), 'x-message-ttl': seconds * 1_000 },
      })),
      { name: 'sms.retry.1.5s', arguments: { ...deadLetterTo('due'), 'x-message-ttl': 5_000 } },
      { name: 'sms.retry.2.30s', arguments: { ...deadLetterTo('due'), 'x-message-ttl': 30_000 } },
      { name: 'sms.high', arguments: consumed },
      { name: 'sms.low', arguments: consumed },
      { name: 'sms.work', arguments: consumed },
    ],
    bindings: [
      ...[
        ...['parked', 'dead-letters', 'journal', 'journal.later', 'due'],
        ...HOLD_SECONDS.map((seconds) => `hold.${seconds}s`),
        ...['retry.1.5s', 'retry.2.30s'],
      ].map((routingKey) => ({ exchange: 'sms.internal', queue: `sms.${routingKey}`, routingKey })),
      { exchange: 'sms', queue: 'sms.high', routingKey: 'high' },
      { exchange: 'sms', queue: 'sms.low', routingKey: 'low' },
      { exchange: 'sms', queue: 'sms.work', routingKey: 'work' },
    ],
  });
});

test('a work queue spread over several has the same arguments in each, and names that are read back', () => {
  const { queues, bindings } = topologyOf('sms', [], 3);
  expect(queues.slice(-3)).toEqual([
    { name: 'sms.work', arguments: consumed },
    { name: 'sms.work.1', arguments: consumed },
    { name: 'sms.work.2', arguments: consumed },
  ]);
  expect(bindings.slice(-3)).toEqual([
    { exchange: 'sms', queue: 'sms.work', routingKey: 'work' },
    { exchange: 'sms', queue: 'sms.work.1', routingKey: 'work.1' },
    { exchange: 'sms', queue: 'sms.work.2', routingKey: 'work.2' },
  ]);
  expect(
    queues.map(({ name }) => parseWorkQueueName('sms', name)).filter((shard) => shard !== undefined),
  ).toEqual([...[0, 1, 2]]);
  for (const name of ['sms.work.0', 'sms.work.01', 'sms.work.64', 'sms.work.', 'sms.worker', 'sms.a.work'])
    expect(parseWorkQueueName('sms', name)).toBeUndefined();
  expect(countShards('sms', queues)).toBe(3);
  expect(countShards('sms', [])).toBe(1);
});

describe('whatever the schedule', () => {
  const ofAnyPipeline = (holds: (topology: ReturnType<typeof topologyOf>, prefix: string) => void) =>
    forAll(prefixes, schedules, (prefix, schedule) => {
      holds(topologyOf(prefix, schedule), prefix);
    });

  test('a dead letter finds its queue already declared, and no queue is there twice', () => {
    ofAnyPipeline(({ exchanges: [, internalExchange], queues, bindings }) => {
      const declared = new Set<string>();
      for (const { name, arguments: given } of queues) {
        const target = given['x-dead-letter-routing-key'];
        if (target !== undefined) {
          const exchange = given['x-dead-letter-exchange'];
          expect(exchange).toBe(internalExchange.name);
          const ways = bindings.filter((each) => each.exchange === exchange && each.routingKey === target);
          expect(ways).toHaveLength(1);
          expect(declared).toContain(ways[0]?.queue);
        }
        expect(declared).not.toContain(name);
        declared.add(name);
      }
    });
  });

  test('every queue is bound once, with a routing key of its own', () => {
    ofAnyPipeline(({ queues, bindings }) => {
      expect(bindings.map(({ queue }) => queue)).toEqual(queues.map(({ name }) => name));
      expect(new Set(bindings.map(({ routingKey }) => routingKey)).size).toBe(queues.length);
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
      for (const { name, arguments: given } of queues) {
        const isRetry = parseRetryQueueName(prefix, name) !== undefined;
        const isHold = parseHoldQueueName(prefix, name) !== undefined;
        const isLater = name === `${prefix}.journal.later`;
        expect('x-message-ttl' in given).toBe(isRetry || isHold || isLater);
        if (isRetry || isHold) expect(given['x-dead-letter-routing-key']).toBe('due');
        if (isLater) expect(given['x-dead-letter-routing-key']).toBe('journal');
      }
    });
  });

  test('who may write to the exchange of fresh SMS reaches the queues of fresh SMS and nothing else', () => {
    ofAnyPipeline(({ exchanges: [fresh, internalExchange], bindings }, prefix) => {
      for (const { queue, exchange } of bindings) {
        const isFresh =
          parseWorkQueueName(prefix, queue) !== undefined ||
          [`${prefix}.high`, `${prefix}.low`].includes(queue);
        expect(exchange).toBe((isFresh ? fresh : internalExchange).name);
      }
    });
  });

  test('the teardown names all of it, and the management API is asked for all of it', () => {
    ofAnyPipeline(({ exchanges, queues }, prefix) => {
      const names = queues.map(({ name }) => name);
      expect(teardownOf(prefix, names)).toEqual({
        queues: names,
        exchanges: [...exchanges.map(({ name }) => name), eventsExchangeOf(prefix)],
      });
      const pattern = new RegExp(queueNamePatternOf(prefix));
      expect(names.filter((name) => !pattern.test(name))).toEqual([]);
    });
  });
});

test('a teardown leaves the queues of other pipelines alone', () => {
  const names = [
    'sms.work',
    'sms.work.63',
    'sms.retry.7.3h',
    'sms.other.work',
    'sms.retry.x',
    'smsXwork',
    'work',
  ];
  expect(teardownOf('sms', names).queues).toEqual(['sms.work', 'sms.work.63', 'sms.retry.7.3h']);
  expect(new RegExp(queueNamePatternOf('s.s')).test('sXs.work')).toBe(false);
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

test('the queues where SMS wait are found among those of a pipeline, also those of another schedule', () => {
  const names = ['sms.work', 'sms.retry.1.5s', 'sms.due', 'sms.hold.16s', 'sms.retry.7.3h'];
  const foreign = ['other.retry.1.5s', 'other.hold.16s', 'sms.hold.17s', 'smshold.16s'];
  expect(
    waitingQueueNamesOf(
      'sms',
      [...names, ...foreign].map((name) => ({ name })),
    ),
  ).toEqual(['sms.retry.1.5s', 'sms.hold.16s', 'sms.retry.7.3h']);
});

test('an SMS that is held for a day passes at most 25 hold queues, and none for longer than it may', () => {
  forAll(
    integer({ min: 0, max: 86_400_000 }),
    array(integer({ min: 0, max: 400 }), { maxLength: 30 }),
    (waitMs, lateMs) => {
      let leftMs = waitMs;
      let hops = 0;
      for (;;) {
        const routingKey = holdRoutingKeyFor(leftMs);
        if (routingKey === undefined) break;
        const delayMs = parseHoldQueueName('sms', `sms.${routingKey}`) ?? Number.NaN;
        expect(delayMs).toBeLessThanOrEqual(leftMs - HOLD_MARGIN_MS);
        leftMs -= delayMs + (lateMs[hops] ?? 0);
        hops += 1;
      }
      expect(leftMs).toBeLessThan(1_500);
      expect(hops).toBeLessThanOrEqual(25);
    },
  );
});
