import { expect, test } from 'vitest';
import type { Snapshot } from '../../shared/domain/snapshot.ts';
import { describeStandstill, isFinished } from './snapshot.ts';

const finished: Snapshot = {
  at: '2026-11-22T10:00:00.000Z',
  accepted: 10,
  sent: 8,
  failed: 1,
  parked: 1,
  known: 0,
  inProgress: 0,
  attempts: 12,
  attemptsFailed: 3,
  attemptsByNumber: {},
  meanProcessingSeconds: 0.2,
  processingSeconds: { p50: 0.1, p95: 0.5, p99: 0.9 },
  attemptsPerSecond: 0,
  sentPerSecond: 0,
  failureRate: 0.2,
  retryLatenessSeconds: { p50: null, p99: null, max: null },
  repeatedSends: 0,
  idConflicts: 0,
  queues: {
    ...{ work: 0, due: 0, journal: 0, parked: 0, retry: [], deadLetters: 0, later: 0 },
    ...{ high: 0, low: 0, hold: [], asOfSeconds: 0 },
  },
  state: 'ok',
  seenSenders: null,
  problems: [],
  senders: 3,
  lastTenSeconds: null,
  lastMinute: null,
  ...{ unknown: 0, failedByReason: {}, expired: 0, cancelled: 0, held: 0, throttled: 0 },
  gateway: { state: 'open', until: null },
};

test.each([
  ['every SMS has its outcome', {}, true],
  ['some are in progress', { sent: 7, inProgress: 1 }, false],
  ['fewer were accepted than asked for', { accepted: 9, sent: 7 }, false],
  ['nothing is known yet', { accepted: null, inProgress: null }, false],
])('%s', (_case, change, isDone) => {
  expect(isFinished({ ...finished, ...change }, 10)).toBe(isDone);
});

test('a standstill says where the SMS are', () => {
  const queues = { ...finished.queues, journal: 2, retry: [{ attempt: 1, delaySeconds: 120, messages: 4 }] };
  const stuck = { ...finished, inProgress: 6, queues, problems: ['S3 does not answer'] };
  expect(describeStandstill(stuck, 64)).toBe(
    'nothing has moved for 64 s: 6 SMS have no outcome yet.\nIn the queues: retry.1.2m 4, journal 2.\nS3 does not answer',
  );
});
