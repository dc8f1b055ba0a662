import { describe, expect, test } from 'vitest';
import type { Snapshot } from '../kit/process/pipeline-under-test.ts';
import {
  type AuditSeen,
  judgeAudit,
  judgeLastAudit,
  judgeLook,
  judgeMemory,
  type Look,
} from './judge-steady.ts';

const BOOKS = { accepted: 100, sent: 80, failed: 5, parked: 0, known: 0, inProgress: 15, attempts: 120 };
const RIGHT = { ...BOOKS, repeatedSends: 0, idConflicts: 0, state: 'ok', problems: [] as string[] };

function lookAt(snapshot: Partial<Snapshot> = {}, limits: Partial<Look> = {}): Look {
  const seen = { ...RIGHT, ...snapshot } as Snapshot;
  const servers = { redisBytes: 1, keyCount: 1, senderBytes: 1 };
  return { second: 20, snapshot: seen, leastAccepted: 60, mostAccepted: 120, ...servers, ...limits };
}

describe('a look', () => {
  test('is right where the books hold', () => {
    expect(judgeLook(lookAt(), lookAt())).toEqual([]);
  });

  test.each<[string, Partial<Snapshot>]>([
    ['the state is rebuilding', { state: 'rebuilding' }],
    ['Redis is full', { problems: ['Redis is full'] }],
    ['accepted are 100, and the other terms of the books make 99', { sent: 79 }],
    ['in progress are -1', { sent: 96, inProgress: -1 }],
    ['accepted are 59, and had been 60 in the runs that are over', { accepted: 59, sent: 39 }],
    ['accepted are 121 of 120 SMS', { accepted: 121, inProgress: 36 }],
    ['parked is 1', { parked: 1, inProgress: 14 }],
    ['known is 1', { known: 1, inProgress: 14 }],
    ['repeatedSends is 1', { repeatedSends: 1 }],
    ['idConflicts is 1', { idConflicts: 1 }],
  ])('tells that %s', (sentence, snapshot) => {
    expect(judgeLook(lookAt(snapshot))).toEqual([sentence]);
  });

  test('tells which numbers fell', () => {
    const later = lookAt({ accepted: 99, sent: 79, failed: 4, inProgress: 16, attempts: 119 });
    expect(judgeLook(later, lookAt())).toEqual([
      'accepted fell from 100 to 99',
      'sent fell from 80 to 79',
      'failed fell from 5 to 4',
      'attempts fell from 120 to 119',
    ]);
  });
});

describe('an audit', () => {
  const still = { accepted: 100, sent: 95, failed: 5, inProgress: 0, missing: 0, duplicateRecords: 0 };
  const audit = (report: Partial<AuditSeen['report']> = {}, exitCode = 0): AuditSeen => ({
    ...{ second: 60, tookSeconds: 1, peakBytes: 1, exitCode },
    report: { ...still, balanced: true, problems: [], ...report },
  });
  const judge = (seen: AuditSeen) => judgeLastAudit(seen, 100, { sent: 95, failed: 5 });

  test('is right while SMS are in progress, the last one only where none is', () => {
    const moving = audit({ sent: 90, inProgress: 5, missing: null });
    expect(judgeAudit(moving)).toEqual([]);
    expect(judge(audit())).toEqual([]);
    expect(judge(moving)).toEqual([
      '5 in progress, null missing',
      '90 sent and 5 failed, 95 and 5 were predicted',
    ]);
  });

  test('tells why the books do not balance', () => {
    const red = audit({ balanced: false, problems: ['1 SMS is missing'] }, 1);
    expect(judgeAudit(red)).toEqual(['exit code 1, balanced false: 1 SMS is missing']);
  });

  test('tells of records that are there twice although nothing died', () => {
    expect(judgeAudit(audit({ duplicateRecords: 2 }))).toEqual(['2 duplicate records']);
  });

  test('tells that producers said another number', () => {
    expect(judge(audit({ accepted: 101 }))).toEqual(['accepted are 101, producers said 100']);
  });
});

describe('the memory of Redis', () => {
  const looks = (...bytes: number[]) =>
    bytes.map((redisBytes, index) => ({ second: 60 * (index + 1), redisBytes }));
  // KEEP_TIME is 5 minutes: minutes 6 to 10 tell what is usual.
  const grown = [20, 40, 60, 80, 95, 100, 104, 98, 100, 100];

  test('is flat where it stays within a tenth of what is usual, however it grew before', () => {
    expect(judgeMemory(looks(...grown, 110, 90), 300)).toEqual({
      ...{ usualBytes: 100, largestBytes: 110, isFlat: true },
    });
  });

  test('is not flat where one look exceeds that', () => {
    expect(judgeMemory(looks(...grown, 111, 100), 300)?.isFlat).toBe(false);
    expect(judgeMemory(looks(20, 40, 60, 80, 95, 100, 112, 98, 100, 100, 100), 300)?.isFlat).toBe(false);
  });

  test('cannot be judged before two KEEP_TIMEs are over', () => {
    expect(judgeMemory(looks(...grown), 300)).toBeUndefined();
  });
});
