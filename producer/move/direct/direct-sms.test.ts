/** `cancel` and `retry-now` step by step, with queues, Redis and senders played by the test. */
import { expect, test } from 'vitest';
import { decodeEnvelope, encodeFresh } from '../../../shared/domain/sms/envelope.ts';
import type { IncomingMessage } from '../../../shared/domain/sms/message.ts';
import { ManualClock } from '../../../tests/kit/manual-clock.ts';
import { cancelSms, type DirectParts, sendSmsNow } from './direct-sms.ts';

const incoming = (id: string, run = 'demo'): IncomingMessage => {
  const { body, headers, messageId, contentType } = encodeFresh(
    { id, run, to: '+15550100001', text: 'hello' },
    1_000,
    'work',
  );
  return { body, headers, messageId, contentType, type: 'sms' };
};

interface Played {
  /** What waits in each queue. */
  readonly queues: Record<string, IncomingMessage[]>;
  /** What Redis knows of SMS. */
  readonly states?: Record<string, string>;
  readonly senderCount?: number;
  /** How many of them know a directive at once. */
  readonly knowingCount?: number;
  /** What a sender makes of an SMS that is pulled. */
  readonly onPulled?: (id: string) => void;
}

function partsOf({ queues, states = {}, senderCount = 1, knowingCount = senderCount, onPulled }: Played) {
  const given: string[] = [];
  const met = new Set<string>();
  const clock = new ManualClock();
  const held = new Set<string>();
  const parts: DirectParts = {
    store: {
      give: async (texts) => given.push(...texts),
      countKnowing: async () => knowingCount,
      areMet: async (texts) => texts.map((text) => met.has(text)),
      statesOf: async (ids) => ids.map((id) => states[id]),
    },
    queueNames: Object.keys(queues),
    async look(name, choose) {
      const waiting = queues[name] ?? [];
      const found = waiting.flatMap((message) => choose(message) ?? []);
      held.add(name);
      return {
        found,
        isWhole: true,
        async pull() {
          held.delete(name);
          queues[name] = waiting.filter((message) => choose(message) === undefined);
          for (const { smsId } of found) onPulled?.(smsId);
        },
        close: async () => void held.delete(name),
      };
    },
    countSenders: async () => senderCount,
    clock,
    shutdown: new AbortController().signal,
  };
  return { parts, given, met, clock, held, states };
}

/** Lets the time pass that a command waits. */
async function within<Value>(clock: ManualClock, work: Promise<Value>): Promise<Value> {
  let isOver = false;
  void work.finally(() => {
    isOver = true;
  });
  for (let seconds = 0; !isOver && seconds < 60; seconds += 1) await clock.advance(1_000);
  return work;
}

test('a cancel is given before anything is pulled, and is done once its senders say so', async () => {
  const queues = { 'sms.retry.1.5s': [incoming('demo-000001'), incoming('demo-000002')] };
  const played = partsOf({
    queues,
    states: { 'demo-000001': 'in progress' },
    onPulled: (id) => {
      expect(played.given).toEqual([`cancel|${id}`]);
      played.met.add(`cancel|${id}`);
      played.states[id] = 'failed';
    },
  });
  const { results, pulledCount } = await within(
    played.clock,
    cancelSms({ kind: 'ids', ids: ['demo-000001'] }, played.parts),
  );
  expect([[...results], pulledCount]).toEqual([[['demo-000001', 'cancelled']], 1]);
  expect(queues['sms.retry.1.5s'].map(({ messageId }) => messageId)).toEqual(['demo-000002']);
});

test('what has ended before is told as it ended, and no directive is given', async () => {
  const played = partsOf({ queues: {}, states: { a: 'sent', b: 'failed', c: 'parked' } });
  const { results } = await within(
    played.clock,
    cancelSms({ kind: 'ids', ids: ['a', 'b', 'c'] }, played.parts),
  );
  expect([...results.values()]).toEqual(['already sent', 'already failed', 'already parked']);
  expect(played.given).toEqual([]);
});

test('nothing is claimed while a sender does not answer', async () => {
  const played = partsOf({ queues: {}, states: { a: 'in progress' }, senderCount: 2, knowingCount: 1 });
  const directed = await within(played.clock, cancelSms({ kind: 'ids', ids: ['a'] }, played.parts));
  expect([...directed.results.values()]).toEqual(['not certain']);
  expect(directed).toMatchObject({ isCertain: false, senderCount: 2 });
});

test('one that ends while the command waits is told as it ended', async () => {
  const played = partsOf({ queues: {}, states: { a: 'in progress' } });
  const cancelling = cancelSms({ kind: 'ids', ids: ['a'] }, played.parts);
  played.clock.after(2_000, () => {
    played.states.a = 'sent';
  });
  const { results } = await within(played.clock, cancelling);
  expect([...results.values()]).toEqual(['already sent']);
});

test('what is sent now stays in the hand until all senders know, and carries its attempt', async () => {
  const queues = {
    'sms.hold.4s': [incoming('demo-000001'), incoming('other-000001', 'other')],
    'sms.hold.1s': [],
  };
  const played = partsOf({ queues });
  const originalGive = played.parts.store.give;
  let heldAtGive: string[] = [];
  const parts = {
    ...played.parts,
    store: {
      ...played.parts.store,
      give: async (texts: readonly string[]) => {
        heldAtGive = [...played.held];
        return originalGive(texts);
      },
    },
  };
  const { pulledCount } = await within(played.clock, sendSmsNow({ kind: 'run', run: 'demo' }, parts));
  expect([pulledCount, heldAtGive, [...played.held]]).toEqual([1, ['sms.hold.4s'], []]);
  expect(played.given).toEqual(['send-now|demo-000001|1']);
  const left = queues['sms.hold.4s'].map((message) => decodeEnvelope(message).kind);
  expect(left).toEqual(['readable']);
});

test('an id that nobody knows is told as unknown; one that is in the hand of a sender as being sent', async () => {
  const played = partsOf({ queues: {}, states: { a: 'in progress' } });
  const { results } = await within(played.clock, sendSmsNow({ kind: 'ids', ids: ['a', 'b'] }, played.parts));
  expect([...results.values()]).toEqual(['being sent', 'unknown id']);
  expect(played.given).toEqual([]);
});
