import { expect, test } from 'vitest';
import type { AttemptRecord } from '../../domain/outcome/attempt.ts';
import type { CounterEntry } from '../../ports/counter-store.ts';
import { FirstMeetings } from './first-meetings.ts';

function attemptRecord(attempt: number, late: { readonly lateMs?: number } = {}): AttemptRecord {
  return { attempt, startedAt: '2026-11-22T10:00:00.000Z', tookMs: 40, result: 'failed', ...late };
}

function attempt(record: AttemptRecord, smsId = 'a'): CounterEntry {
  return { kind: 'attempt', smsId, run: 'demo', attempt: record };
}

function outcome(
  attempts: readonly AttemptRecord[],
  instead: { insteadOfObjectId?: string } = {},
): CounterEntry {
  const summary = { smsId: 'a', run: 'demo', status: 'failed', contentDigest: 'd', attempts } as const;
  return { kind: 'outcome', outcome: summary, objectId: 'o', ...instead };
}

const FIRST = attemptRecord(1);
const SECOND = attemptRecord(2);

test.each<[string, boolean, CounterEntry[]]>([
  ['a first attempt', true, [attempt(FIRST)]],
  ['an outcome after one attempt', true, [outcome([FIRST])]],
  ['a first attempt beside that of another SMS', true, [attempt(FIRST, 'b'), attempt(FIRST)]],
  ['a second attempt', false, [attempt(SECOND)]],
  ['a first attempt that was late', false, [attempt(attemptRecord(1, { lateMs: 5 }))]],
  ['an outcome after two attempts', false, [outcome([FIRST, SECOND])]],
  ['an outcome without attempts', false, [outcome([])]],
  ['an outcome taken over', false, [outcome([FIRST], { insteadOfObjectId: 'p' })]],
  ['an outcome after its own attempt', false, [attempt(FIRST), outcome([FIRST])]],
  ['a first attempt after the second', false, [attempt(SECOND), attempt(FIRST)]],
])('%s: %s', (_, isTaken, entries) => {
  const firstMeetings = new FirstMeetings((smsId) => `q:sms:${smsId}`);
  expect(entries.map((entry) => firstMeetings.takeIn(entry)).at(-1)).toBe(isTaken);
});

test('they are described by their sums, their number, and a key and a value each', () => {
  const firstMeetings = new FirstMeetings((smsId) => `q:sms:${smsId}`);
  for (const entry of [outcome([FIRST]), attempt(FIRST, 'b')]) firstMeetings.takeIn(entry);
  const [sums = '', ...others] = firstMeetings.toArguments();
  expect(JSON.parse(sums)).toEqual({
    demo: { met: 2, attempts: 2, 'attempt:1': 2, attemptsFailed: 2, processingMs: 80, 'processing:36': 2 },
  });
  expect(others).toEqual([
    ...['2', 'q:sms:a', 'c|demo|o|failed|d|1:mwro18g0:40::f|', 'q:sms:b', 'p|demo||||1:mwro18g0:40::f|'],
  ]);
});

test.each([
  ['a result of a newer version is counted as failed, as that version counts it', 'deferred', 'f', undefined],
  ['an attempt without a clear answer is counted as failed, and beside that', 'unknown', 'u', 1],
])('%s', (_, result, letter, unknownCount) => {
  const firstMeetings = new FirstMeetings((smsId) => `q:sms:${smsId}`);
  firstMeetings.takeIn(outcome([{ ...FIRST, result }]));
  const [sums = '', , , value] = firstMeetings.toArguments();
  const { demo } = JSON.parse(sums);
  expect([demo.attemptsFailed, demo.attemptsUnknown]).toEqual([1, unknownCount]);
  expect(value).toBe(`c|demo|o|failed|d|1:mwro18g0:40::${letter}|`);
});
