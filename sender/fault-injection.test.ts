import { describe, expect, test } from 'vitest';
import { describeTopology } from '../shared/domain/topology.ts';
import type { ObjectStore } from '../shared/ports.ts';
import { HandDrivenQueue } from '../shared/testing/hand-driven-queue.ts';
import { RecordingPublisher } from '../shared/testing/recording-publisher.ts';
import {
  areInjected,
  type FaultyPorts,
  injectFaults,
  readInjectedFaults,
  weakenTopology,
} from './fault-injection.ts';

const NO_FAULTS = readInjectedFaults({});
const objects: ObjectStore = {
  put: async () => {},
  get: async () => undefined,
  async *list() {},
};

function portsOf(publisher = new RecordingPublisher()): FaultyPorts {
  const source = new HandDrivenQueue().consumer();
  const gateway = { send: async () => ({ kind: 'sent' }) as const, close: () => {} };
  const counters = { record: async () => [] } as unknown as FaultyPorts['counters'];
  return { gateway, publisher, laneSources: [source], journalSource: source, counters, objects };
}

test('nothing is injected unless the environment names it', () => {
  const ports = portsOf();
  expect(areInjected(NO_FAULTS)).toBe(false);
  expect(injectFaults(ports, NO_FAULTS, () => {})).toBe(ports);
  const topology = describeTopology('sms', [5_000]);
  expect(weakenTopology(topology, NO_FAULTS)).toBe(topology);
});

test('a name that does not exist is refused: a test that injects nothing would prove nothing', () => {
  expect(() =>
    readInjectedFaults({ REDIAL_CRASH_POINT: 'nowhere:0', REDIAL_SAFEGUARDS_OFF: 'put,luck' }),
  ).toThrow(/REDIAL_CRASH_POINT must be one of.*\n.*end with a number, got "0"\n.*got "luck"/s);
});

describe('a crash point', () => {
  test('is reached at its named passage and not before', async () => {
    let crashes = 0;
    const faults = readInjectedFaults({ REDIAL_CRASH_POINT: 'object-stored:2' });
    const { objects: around } = injectFaults(portsOf(), faults, () => {
      crashes += 1;
    });
    await around.put('success/a', Buffer.alloc(0));
    await around.put('runs/a', Buffer.alloc(0));
    expect(crashes).toBe(0);
    await around.put('success/b', Buffer.alloc(0));
    expect(crashes).toBe(1);
  });
});

test('a safeguard that is off answers before the thing is done', async () => {
  const publisher = new RecordingPublisher();
  publisher.confirmsAtOnce = false;
  const faults = readInjectedFaults({ REDIAL_SAFEGUARDS_OFF: 'journal' });
  const { publisher: around } = injectFaults(portsOf(publisher), faults, () => {});
  const message = {
    messageId: 'a',
    type: 'sms',
    contentType: '',
    timestampMs: 0,
    headers: {},
    body: Buffer.alloc(0),
  } as const;
  await around.publish({ ...message, routingKey: 'journal' });
  let isConfirmed = false;
  void around.publish({ ...message, routingKey: 'retry.1.5s' }).then(() => {
    isConfirmed = true;
  });
  await Promise.resolve();
  expect(isConfirmed).toBe(false);
});

test('without at-least-once only the retry queues differ', () => {
  const topology = describeTopology('sms', [5_000]);
  const weak = weakenTopology(topology, readInjectedFaults({ REDIAL_SAFEGUARDS_OFF: 'at-least-once' }));
  const differing = weak.queues.filter((queue, index) => queue !== topology.queues[index]);
  expect(differing.map(({ name }) => name)).toEqual(['sms.retry.1.5s']);
  expect(differing[0]?.arguments).not.toHaveProperty('x-dead-letter-strategy');
});
