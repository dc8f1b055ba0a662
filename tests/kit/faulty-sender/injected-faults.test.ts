import { describe, expect, test } from 'vitest';
import type { SenderPorts } from '../../../sender/pipeline.ts';
import { topologyOf } from '../../../shared/domain/topology/topology.ts';
import { UnroutableError } from '../../../shared/errors.ts';
import type { CounterEntry } from '../../../shared/ports/counter-store.ts';
import { HandDrivenQueue } from '../hand-driven-queue.ts';
import { RecordingPublisher } from '../recording-publisher.ts';
import { seamWithFaults } from './injected-faults.ts';

const MESSAGE = {
  messageId: 'a',
  type: 'sms',
  contentType: '',
  timestampMs: 0,
  headers: {},
  body: Buffer.alloc(0),
  routingKey: 'retry.1.5s',
} as const;

/** The ports of a sender with faults, and what they lead to. */
function faultyPorts(environment: Record<string, string>, onCrash = () => {}) {
  const publisher = new RecordingPublisher();
  const counted: CounterEntry[] = [];
  const source = new HandDrivenQueue().consumer();
  const ports = {
    gateway: { send: async () => ({ kind: 'sent' }) as const, close: () => {} },
    publisher,
    laneSources: [source],
    journalSource: source,
    counters: { record: async (entries: readonly CounterEntry[]) => void counted.push(...entries) },
    objects: { put: async () => {} },
  } as unknown as SenderPorts;
  return { ...seamWithFaults(environment, onCrash).ports(ports), inner: publisher, counted };
}

test('a sender without a fault is refused: a test that injects nothing would prove nothing', () => {
  expect(() => faultyPorts({})).toThrow(/one of REDIAL_CRASH_POINT, .* must be set/);
});

test('a name that does not exist is refused: a test that injects nothing would prove nothing', () => {
  expect(() => faultyPorts({ REDIAL_CRASH_POINT: 'nowhere:0', REDIAL_SAFEGUARDS_OFF: 'put,luck' })).toThrow(
    /REDIAL_CRASH_POINT must be one of.*\n.*end with a number, got "0"\n.*got "luck"/s,
  );
});

describe('a crash point', () => {
  test('is reached at its named passage and not before', async () => {
    let crashes = 0;
    const { objects } = faultyPorts({ REDIAL_CRASH_POINT: 'object-stored:2' }, () => {
      crashes += 1;
    });
    await objects.put('success/a', Buffer.alloc(0));
    await objects.put('runs/a', Buffer.alloc(0));
    expect(crashes).toBe(0);
    await objects.put('success/b', Buffer.alloc(0));
    expect(crashes).toBe(1);
  });
});

describe('without the safeguard', () => {
  test('journal, what is told is answered before it is confirmed', async () => {
    const { publisher, inner } = faultyPorts({ REDIAL_SAFEGUARDS_OFF: 'journal' });
    inner.confirmsAtOnce = false;
    await publisher.publish({ ...MESSAGE, routingKey: 'journal' });
    let isConfirmed = false;
    void publisher.publish(MESSAGE).then(() => {
      isConfirmed = true;
    });
    await Promise.resolve();
    expect(isConfirmed).toBe(false);
  });

  test('mandatory, what no queue takes counts as confirmed', async () => {
    const unroutable = async () => Promise.reject(new UnroutableError(MESSAGE.routingKey));
    const { publisher, inner } = faultyPorts({ REDIAL_SAFEGUARDS_OFF: 'mandatory' });
    inner.publish = unroutable;
    await publisher.publish(MESSAGE);
    const strict = faultyPorts({ REDIAL_SAFEGUARDS_OFF: 'put' });
    strict.inner.publish = unroutable;
    await expect(strict.publisher.publish(MESSAGE)).rejects.toThrow(UnroutableError);
  });

  test('count-once, an attempt that is told again is counted again', async () => {
    const { counters, counted } = faultyPorts({ REDIAL_SAFEGUARDS_OFF: 'count-once' });
    const attempt = { attempt: 1, startedAt: '2026-11-22T10:00:00.000Z', tookMs: 1, result: 'sent' };
    const entry = { kind: 'attempt', smsId: 'a', run: 'demo', attempt } as const;
    await counters.record([entry]);
    await counters.record([entry, { ...entry, attempt: { ...attempt, attempt: 2 } }]);
    expect(counted.map((each) => each.kind === 'attempt' && each.smsId)).toEqual(['a', 'a.again-1', 'a']);
  });

  test('at-least-once, only the retry queues differ', () => {
    const topology = topologyOf('sms', [5_000]);
    const topologyWithout = (safeguard: string) =>
      seamWithFaults({ REDIAL_SAFEGUARDS_OFF: safeguard }, () => {}).topology(topology);
    const differing = topologyWithout('at-least-once').queues.filter(
      (queue, index) => queue !== topology.queues[index],
    );
    expect(differing.map(({ name }) => name)).toEqual(['sms.retry.1.5s']);
    expect(differing[0]?.arguments).not.toHaveProperty('x-dead-letter-strategy');
    expect(topologyWithout('put')).toBe(topology);
  });
});
