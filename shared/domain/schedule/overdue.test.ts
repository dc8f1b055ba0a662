import { describe, expect, it, test } from 'vitest';
import { decodeEnvelope } from '../sms/envelope.ts';
import {
  countWait,
  endsOverdue,
  judgeWait,
  moveToDue,
  NOTHING_OVERDUE,
  noteHold,
  OVERDUE_GRACE_MS,
} from './overdue.ts';

const NOW_MS = Date.UTC(2026, 10, 22, 10, 0, 0);

function waitOf(notBefore: unknown) {
  return judgeWait({ headers: { notBefore } }, NOW_MS);
}

describe('an SMS in a retry queue', () => {
  it('is overdue when it is past its time by more than the grace', () => {
    expect(waitOf(NOW_MS + 1).kind).toBe('waiting');
    expect(waitOf(NOW_MS - OVERDUE_GRACE_MS).kind).toBe('waiting');
    expect(waitOf(NOW_MS - OVERDUE_GRACE_MS - 1)).toEqual({
      kind: 'overdue',
      dueAtMs: NOW_MS - OVERDUE_GRACE_MS - 1,
    });
  });

  it.each([undefined, null, '1700000000000', -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, {}])(
    'is not judged by the time %j',
    (notBefore) => expect(waitOf(notBefore)).toEqual({ kind: 'unknown' }),
  );

  it('in a hold queue is judged by the moment when it must come out, however far its own time is', () => {
    const held = (heldUntil: unknown) =>
      judgeWait({ headers: { notBefore: NOW_MS + 86_400_000, heldUntil } }, NOW_MS).kind;
    expect(held(NOW_MS)).toBe('waiting');
    expect(held(NOW_MS - OVERDUE_GRACE_MS - 1)).toBe('overdue');
    expect(held('soon')).toBe('unknown');
    // A retry that waits for the carrier: its own time is past, and it is where it must be.
    const paused = { headers: { notBefore: NOW_MS - 600_000, heldUntil: NOW_MS + 4_000 } };
    expect(judgeWait(paused, NOW_MS).kind).toBe('waiting');
  });

  it('ends the search where it is not overdue, unless it was handed out before', () => {
    expect(endsOverdue({ kind: 'waiting' }, false)).toBe(true);
    expect(endsOverdue({ kind: 'waiting' }, true)).toBe(false);
    expect(endsOverdue({ kind: 'unknown' }, false)).toBe(false);
    expect(endsOverdue({ kind: 'overdue', dueAtMs: 1 }, false)).toBe(false);
  });
});

test('the count tells the overdue, the first of them, and those without a time', () => {
  const waits = [
    { kind: 'overdue', dueAtMs: 500 },
    { kind: 'unknown' },
    { kind: 'overdue', dueAtMs: 300 },
    { kind: 'waiting' },
  ] as const;
  expect(waits.reduce(countWait, NOTHING_OVERDUE)).toEqual({
    overdueCount: 2,
    firstDueAtMs: 300,
    unknownCount: 1,
    isWhole: true,
  });
});

test('a message for a hold queue notes when it must come out, and no other message does', () => {
  const message = { ...messageOf('hold.16s'), headers: { attempt: 1, notBefore: NOW_MS + 20_000 } };
  expect(noteHold(message, NOW_MS)).toEqual({
    ...message,
    headers: { attempt: 1, notBefore: NOW_MS + 20_000, heldUntil: NOW_MS + 16_000 },
  });
  for (const routingKey of ['due', 'retry.1.16s', 'work'])
    expect(noteHold(messageOf(routingKey), NOW_MS)).toEqual(messageOf(routingKey));
});

function messageOf(routingKey: string) {
  return {
    ...{ routingKey, messageId: 'demo-000001', type: 'sms' as const, contentType: 'application/json' },
    ...{ timestampMs: NOW_MS, headers: {}, body: Buffer.from('{}') },
  };
}

describe('moved to due', () => {
  const message = {
    body: Buffer.from('{"to":"+15550100001","text":"Hello"}'),
    messageId: 'demo-000001',
    contentType: 'application/json',
    type: 'sms',
    timestamp: 1_700_000_000,
    headers: {
      attempt: 2,
      run: 'demo',
      notBefore: 1_700_000_005_000,
      history:
        '[{"attempt":1,"startedAt":"2026-11-22T10:00:00.000Z","tookMs":5,"result":"failed","reason":"timeout"}]',
      traceparent: '00-1',
      'x-death': [{ count: 1 }],
      'x-delivery-count': 3,
      CC: ['elsewhere'],
    },
  };

  it('a message is the same but for the headers that are never believed', () => {
    const moved = moveToDue(message);
    expect(moved).toMatchObject({ routingKey: 'due', messageId: 'demo-000001', type: 'sms' });
    expect(Object.keys(moved.headers)).toEqual(['attempt', 'run', 'notBefore', 'history', 'traceparent']);
    const { 'x-death': _, 'x-delivery-count': __, CC: ___, ...headers } = message.headers;
    expect(decodeEnvelope({ ...moved, timestamp: moved.timestampMs / 1_000 })).toEqual(
      decodeEnvelope({ ...message, headers }),
    );
    expect(decodeEnvelope(message).kind).toBe('readable');
  });

  it('a message without properties stays as readable as it was', () => {
    const bare = { body: message.body, headers: {}, messageId: 'a' };
    expect(decodeEnvelope(bare).kind).toBe('readable');
    expect(decodeEnvelope(moveToDue(bare)).kind).toBe('readable');
    expect(moveToDue({ body: message.body, headers: {} })).toMatchObject({ messageId: '', timestampMs: 0 });
  });
});
