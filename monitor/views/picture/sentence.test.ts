import { describe, expect, it } from 'vitest';
import type { Snapshot } from '../../../shared/domain/snapshot.ts';
import { NO_SENDER } from '../../../shared/pipeline/readings/problems.ts';
import { forAll } from '../../../tests/kit/for-all.ts';
import { anySnapshot, GOING_WELL } from '../../../tests/kit/snapshots.ts';
import { sentenceOf } from './sentence.ts';
import { aboutHowLong, secondsLeft } from './time-left.ts';

const EMPTY = { ...GOING_WELL.queues, work: 0, due: 0, journal: 0, retry: [] };
const NOTHING_YET: Partial<Snapshot> = {
  ...{ accepted: 0, sent: 0, failed: 0, inProgress: 0, attempts: 0, attemptsFailed: 0, queues: EMPTY },
};
const ALL_DONE: Partial<Snapshot> = { sent: 9_800, failed: 200, inProgress: 0, queues: EMPTY };
const FLOW = GOING_WELL.lastTenSeconds;
const say = (changes: Partial<Snapshot>, lastFresh?: { at: string }) => {
  const { tone, text } = sentenceOf({ ...GOING_WELL, ...changes }, lastFresh);
  return `${tone}: ${text}`;
};

describe('the sentence', () => {
  it.each<[string, Partial<Snapshot>, string]>([
    ['a run', {}, 'well: Going well: 4,812 of 10,000 have their outcome, done in about 3 min'],
    [
      'a run whose rate is not known yet',
      { lastMinute: FLOW && { ...FLOW, attemptsPerSecond: 100 / 6 } },
      'well: Going well: 4,812 of 10,000 have their outcome',
    ],
    [
      'SMS held for moments that no queue tells',
      { held: 40 },
      'well: Going well: 4,812 of 10,000 have their outcome, 40 held for later',
    ],
    [
      'the first moments',
      { attempts: 0, sent: 0, failed: 0, inProgress: 10_000, failureRate: null, lastMinute: null },
      'well: Starting: 0 of 10,000 have their outcome',
    ],
    [
      'SMS that senders have not counted yet',
      { ...ALL_DONE, queues: { ...EMPTY, work: 1, due: 6 } },
      'well: Going well: 10,000 of 10,000 have their outcome, 7 SMS wait that are not counted yet',
    ],
    [
      'SMS before anything is counted',
      { ...NOTHING_YET, queues: { ...EMPTY, work: 7 } },
      'well: Starting: 7 SMS wait that are not counted yet',
    ],
    ['all outcomes', ALL_DONE, 'done: Done: all 10,000 SMS have their outcome: 9,800 sent, 200 failed'],
    [
      'all outcomes and a problem',
      { ...ALL_DONE, idConflicts: 1, problems: ['1 SMS was met again'] },
      'trouble: Done, with 1 problem: all 10,000 SMS have their outcome: 9,800 sent, 200 failed',
    ],
    [
      'nothing that ever ran',
      { ...NOTHING_YET, state: 'rebuilding', senders: 0 },
      'idle: Nothing is counted: start a sender with "npx sender", then send SMS',
    ],
    [
      'a sender that waits for SMS',
      NOTHING_YET,
      'idle: Nothing is accepted yet: send SMS with "npx producer --num-messages 1000"',
    ],
    [
      'a run that has not begun, beside others',
      { ...NOTHING_YET, run: 'mine', queues: GOING_WELL.queues },
      'idle: Nothing of run "mine" is accepted yet',
    ],
    [
      'SMS that wait for a sender to count them',
      {
        ...NOTHING_YET,
        state: 'rebuilding',
        senders: 0,
        queues: { ...EMPTY, work: 7 },
        problems: [NO_SENDER],
      },
      'trouble: 7 SMS wait and no sender is running: start one with "npx sender"',
    ],
    [
      'senders that have died',
      { senders: 0, problems: ['5 senders have given no sign of life'] },
      'trouble: 5,188 SMS wait and no sender gives a sign of life: killed, frozen, or cut off from Redis',
    ],
    [
      'a carrier that takes nothing',
      { gateway: { state: 'paused', until: '2026-11-22T10:00:09.000Z' } },
      'slow: The carrier takes nothing for 9 s more: 5,188 SMS wait, no attempt is spent',
    ],
    [
      'counters that are made again',
      { state: 'rebuilding' },
      'unknown: The counters are being rebuilt from S3: numbers are not whole yet',
    ],
    [
      'an outage of the carrier',
      { lastTenSeconds: FLOW && { ...FLOW, failureRate: 0.98 } },
      'trouble: 98.0 % of the attempts of the last 10 s failed. Of the SMS, 4,812 of 10,000 have their outcome',
    ],
    [
      'retries that come late',
      { lastTenSeconds: FLOW && { ...FLOW, retryLatenessSeconds: { p50: 3, p99: 12 } } },
      'slow: Retries start 12s late (p99): 4,812 of 10,000 have their outcome, done in about 3 min',
    ],
    [
      'a standstill',
      {
        lastTenSeconds: FLOW && { ...FLOW, attemptsPerSecond: 0 },
        lastMinute: FLOW && { ...FLOW, attemptsPerSecond: 0 },
      },
      'slow: No attempt was recorded for a minute: 4,812 of 10,000 have their outcome',
    ],
    [
      'no numbers at all',
      { accepted: null, inProgress: null },
      'unknown: Nothing is known yet: Redis has not answered',
    ],
  ])('tells of %s', (_, changes, sentence) => expect(say(changes)).toBe(sentence));

  it('tells which server does not answer and how old the numbers are', () => {
    const stale: Partial<Snapshot> = {
      state: 'stale',
      problems: ['Redis does not answer: no answer within 4 s'],
    };
    expect(say(stale, { at: '2026-11-22T09:59:48.000Z' })).toBe(
      'trouble: Redis does not answer: numbers are 12 s old',
    );
    const rabbitmq = { ...stale, problems: ['RabbitMQ does not answer: x'] };
    expect(say({ ...rabbitmq, queues: { ...EMPTY, asOfSeconds: 7 } })).toBe(
      'trouble: RabbitMQ does not answer: what waits where is 7 s old',
    );
    expect(say({ ...rabbitmq, queues: { ...EMPTY, asOfSeconds: null } })).toBe(
      'trouble: RabbitMQ does not answer: what waits where is not known',
    );
    const both = ['Redis does not answer: x', 'RabbitMQ does not answer: y'];
    expect(say({ ...stale, accepted: null, problems: both })).toBe(
      'trouble: Redis and RabbitMQ do not answer: nothing is known yet',
    );
  });

  it('is always one line, and never calls a stale, an incomplete or an unknown moment a good one', () => {
    forAll(anySnapshot, (snapshot) => {
      const { tone, text } = sentenceOf(snapshot);
      expect(text).not.toMatch(/null|undefined|NaN|Infinity|\n/);
      const isGood = tone === 'well' || tone === 'done';
      if (snapshot.state !== 'ok' || snapshot.accepted === null || snapshot.inProgress === null)
        expect(isGood).toBe(false);
      if (tone === 'done') expect(snapshot.inProgress).toBe(0);
    });
  });
});

describe('the time left', () => {
  const onLadder = (retry: Snapshot['queues']['retry'], failureRate: number): Snapshot => {
    const inProgress = retry.reduce((sum, { messages }) => sum + messages, 0);
    const lastMinute = FLOW && { ...FLOW, failureRate };
    return { ...GOING_WELL, inProgress, queues: { ...EMPTY, retry }, lastMinute };
  };
  const LADDER = [
    { attempt: 1, delaySeconds: 5, messages: 10 },
    { attempt: 2, delaySeconds: 30, messages: 0 },
    { attempt: 3, delaySeconds: 120, messages: 0 },
  ];

  it('is that of the longest wait, and of the waits that SMS are still expected to need', () => {
    expect(secondsLeft(onLadder(LADDER, 0))).toBe(5);
    expect(secondsLeft(onLadder(LADDER, 0.1))).toBe(35);
    expect(secondsLeft(onLadder(LADDER, 1))).toBe(155);
    expect(secondsLeft(onLadder([...LADDER, { attempt: 3, delaySeconds: 600, messages: 1 }], 0))).toBe(600);
  });

  it('is not known where it depends on which of two schedules is used', () => {
    const older = [...LADDER, { attempt: 2, delaySeconds: 900, messages: 0 }];
    expect(secondsLeft(onLadder(older, 0.01))).toBe(5);
    expect(secondsLeft(onLadder(older, 0.1))).toBeUndefined();
    const used = older.map((each) => (each.delaySeconds === 30 ? { ...each, messages: 1 } : each));
    expect(secondsLeft(onLadder(used, 0.1))).toBe(35);
  });

  it('is not known while nothing is sent, and where other SMS are in the queues', () => {
    const still = FLOW && { ...FLOW, attemptsPerSecond: 0 };
    expect(secondsLeft({ ...GOING_WELL, lastTenSeconds: still })).toBeUndefined();
    expect(secondsLeft({ ...GOING_WELL, inProgress: 100 })).toBeUndefined();
  });

  it('is a number of seconds or not known, whatever the numbers are', () => {
    forAll(anySnapshot, (snapshot) => {
      const left = secondsLeft(snapshot);
      return left === undefined || (left >= 0 && Number.isFinite(left));
    });
  });

  it.each([
    [0.4, 'a moment'],
    [12.4, 'about 12 s'],
    [43, 'about 45 s'],
    [299, 'about 5 min'],
    [7_000, 'about 2 h'],
    [500_000, 'about 6 days'],
  ])('of %d s is told as %s', (seconds, text) => expect(aboutHowLong(seconds)).toBe(text));
});
