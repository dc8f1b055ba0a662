import { expect, test } from 'vitest';
import type { AttemptRecord } from '../../shared/domain/outcome/attempt.ts';
import type { OutcomeRecord } from '../../shared/domain/outcome/outcome.ts';
import { fateOf } from '../../shared/pipeline/fate.ts';
import type { RunCounters } from '../../shared/ports/counter-reader.ts';
import type { StoredRecord } from '../kit/stored-records.ts';
import { check, type Evidence, violationsOf } from './checker.ts';

const simulation = {
  seed: 7,
  meanProcessingMs: 10,
  distribution: 'constant',
  failureRate: 0.5,
  permanentFailureShare: 0,
} as const;
const schedule = [1_000, 2_000];
const conditions = [{ simulation, schedule }];
const ids = Array.from({ length: 40 }, (_, index) => `a-${index}`);

/** What the simulated carrier makes of an SMS. */
function storyOf(smsId: string): OutcomeRecord {
  const { status, attempts } = fateOf({ simulation, schedule }, smsId);
  const acceptedAtMs = Date.UTC(2026, 10, 22);
  const made = attempts.map(({ attempt, result, startsAtMs }): AttemptRecord => {
    const startedAt = new Date(acceptedAtMs + startsAtMs + (attempt - 1) * 5).toISOString();
    return {
      ...{ attempt, startedAt, tookMs: 10, result: result.kind },
      ...(attempt > 1 ? { lateMs: 5 } : {}),
      ...(result.kind === 'sent' ? {} : { reason: result.reason }),
    };
  });
  const record = recordOf(smsId, status, made);
  return status === 'failed' ? { ...record, reason: made.at(-1)?.reason ?? '' } : record;
}

function recordOf(smsId: string, status: OutcomeRecord['status'], attempts: AttemptRecord[]): OutcomeRecord {
  const at = '2026-11-22T00:00:00.000Z';
  const content = { to: '+15550100001', text: `text of ${smsId}` };
  return { smsId, run: 'a', queue: 'sms', ...content, status, acceptedAt: at, finishedAt: at, attempts };
}

const records: StoredRecord[] = ids.map((id) => ({ objectId: 'o-1', record: storyOf(id) }));
const attempts = records.flatMap(({ record }) => record.attempts);
const countOf = (status: string) => records.filter(({ record }) => record.status === status).length;
const failedRecords = records.map(({ record }) => record).filter(({ status }) => status === 'failed');
const REASONS_SEEN = [...new Set(failedRecords.map(({ reason }) => reason ?? ''))];
const countFailedFor = (seen: string) => failedRecords.filter(({ reason }) => reason === seen).length;
const counters = {
  announced: 40,
  met: 40,
  sent: countOf('sent'),
  failed: countOf('failed'),
  parked: 0,
  attempts: attempts.length,
  failedByReason: new Map(REASONS_SEEN.map((reason) => [reason, countFailedFor(reason)])),
  attemptsFailed: attempts.filter(({ result }) => result === 'failed').length,
  attemptsUnknown: 0,
  attemptsByNumber: new Map(
    [1, 2, 3].map((each) => [each, attempts.filter((one) => one.attempt === each).length]),
  ),
  repeatedSends: 0,
} as unknown as RunCounters;
const good: Evidence = {
  accepted: new Set(ids),
  published: new Set(ids),
  records,
  counters,
  waitingCount: 0,
  conditions,
  logs: ['{"msg":"sending","smsId":"a-1"}'],
};

/** The record of the first SMS with that many attempts, changed. */
function withChanged(attemptCount: number, change: (record: OutcomeRecord) => OutcomeRecord): StoredRecord[] {
  const index = records.findIndex(({ record }) => record.attempts.length === attemptCount);
  return records.map((each, place) => (place === index ? { ...each, record: change(each.record) } : each));
}

const changeLast = (change: object) => (record: OutcomeRecord) => ({
  ...record,
  attempts: [...record.attempts.slice(0, -1), { ...(record.attempts.at(-1) as AttemptRecord), ...change }],
});

test('a run in which everything is as predicted has no violations', () => {
  expect(violationsOf(check(good), true)).toEqual([]);
  expect(countOf('failed')).toBeGreaterThan(0);
});

test.each<[string, RegExp, Partial<Evidence>]>([
  ['an SMS without an outcome', /^lost 1 \(a-0\)/, { records: records.slice(1) }],
  [
    'an outcome nobody produced',
    /^unexpected 1 \(x-1\)/,
    { records: [...records, { objectId: 'o', record: storyOf('x-1') }] },
  ],
  [
    'two records without a crash',
    /^duplicated without a crash 1 \(a-0\)/,
    { records: [...records, ...records.slice(0, 1)] },
  ],
  ['an attempt before it was due', /^early 1/, { records: withChanged(2, changeLast({ lateMs: -1 })) }],
  [
    'an attempt beyond the schedule',
    /^extra 1/,
    {
      records: withChanged(3, (record) => ({
        ...record,
        attempts: [...record.attempts, { ...(record.attempts[2] as AttemptRecord), attempt: 4 }],
      })),
    },
  ],
  ['a gap in the attempts', /^extra 1/, { records: withChanged(2, changeLast({ attempt: 3 })) }],
  [
    'another result',
    /^other than predicted 1/,
    { records: withChanged(2, changeLast({ result: 'failed', reason: 'odd' })) },
  ],
  [
    'a wait that was too short',
    /^other than predicted 1/,
    {
      records: withChanged(2, (record) => changeLast({ startedAt: record.attempts[0]?.startedAt })(record)),
    },
  ],
  [
    'an end that came too soon',
    /^other than predicted 1/,
    {
      records: withChanged(3, (record) => ({
        ...record,
        status: 'failed',
        attempts: record.attempts.slice(0, 2),
      })),
    },
  ],
  [
    'a counter that differs',
    /^sent: Redis says \d+, it should be \d+/,
    { counters: { ...counters, sent: counters.sent + 1 } },
  ],
  [
    'a reason that is not counted',
    /^failed for "[^"]+": Redis says 0, it should be \d+/,
    { counters: { ...counters, failedByReason: new Map() } },
  ],
  ['counters that are not there', /Redis says undefined/, { counters: undefined }],
  ['messages that wait', /^3 messages still wait/, { waitingCount: 3 }],
  ['a phone number in a log', /^phone number or text in a log/, { logs: ['sent to +15550100001'] }],
  ['a text in a log', /^phone number or text in a log/, { logs: ['sent "text of a-3"'] }],
])('%s is seen', (_, sentence, change) => {
  expect(violationsOf(check({ ...good, ...change }), true).join('\n')).toMatch(sentence);
});

test('what S3 does not take is not lost while it is parked, and its attempts are counted', () => {
  const index = records.findIndex(({ record }) => record.status === 'failed');
  const withheld = records.slice(index, index + 1).map(({ record }) => record);
  const rest = records.filter((_, place) => place !== index);
  const failedByReason = new Map(counters.failedByReason);
  for (const { reason = '' } of withheld) failedByReason.set(reason, (failedByReason.get(reason) ?? 0) - 1);
  const inProgress = {
    ...good,
    records: rest,
    counters: { ...counters, failed: counters.failed - 1, failedByReason },
  };
  expect(violationsOf(check({ ...inProgress, withheld }), true)).toEqual([]);
  expect(check(inProgress).lost.length).toBe(1);
});

test('what was destroyed with its queue is not lost, and duplicates are legal after a crash', () => {
  const destroyed = { ...good, records: records.slice(1), destroyed: new Set(['a-0']) };
  expect(check(destroyed).lost).toEqual([]);
  expect(violationsOf(check({ ...good, records: [...records, ...records.slice(0, 1)] }), false)).toEqual([]);
});
