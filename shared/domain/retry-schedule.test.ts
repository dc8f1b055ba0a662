import { array, integer } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { forAll } from '../testing/for-all.ts';
import type { GatewayResult } from './attempt.ts';
import { formatDuration, MAX_DURATION_MS } from './duration.ts';
import { decideNextStep, parseRetrySchedule, type RetrySchedule, waitingPlaceOf } from './retry-schedule.ts';

const sent: GatewayResult = { kind: 'sent' };
const temporary: GatewayResult = { kind: 'failed', reason: 'timeout', isPermanent: false };
const permanent: GatewayResult = { kind: 'failed', reason: 'blocked', isPermanent: true };
const schedules = array(integer({ min: 1, max: MAX_DURATION_MS }), { minLength: 1, maxLength: 50 });

describe('a retry schedule', () => {
  test.each([
    ['5s', [5_000]],
    ['5s,30s,2m,10m', [5_000, 30_000, 120_000, 600_000]],
    [' 1ms , 365d ', [1, MAX_DURATION_MS]],
    ['5s,5s', [5_000, 5_000]],
  ])('"%s" is read as its waits', (text, schedule) => expect(parseRetrySchedule(text)).toEqual({ schedule }));

  test.each([
    ['', ['is empty (write waits such as 5s,30s,2m)']],
    ['  ', ['is empty (write waits such as 5s,30s,2m)']],
    ['10s,,1m', ['has an empty wait between two commas (write 5s,30s,2m)']],
    ['5x', ['"5x" is not a duration (write 500ms, 5s, 2m or 1h)']],
    ['5', ['"5" is not a duration (write 500ms, 5s, 2m or 1h)']],
    ['-5s', ['"-5s" is not a duration (write 500ms, 5s, 2m or 1h)']],
    ['0s', ['"0s" is too short (at least 1ms)']],
    ['366d', ['"366d" is too long (at most a year, 8760h)']],
    [
      '5s,5x,0ms,9999h',
      [
        '"5x" is not a duration (write 500ms, 5s, 2m or 1h)',
        '"0ms" is too short (at least 1ms)',
        '"9999h" is too long (at most a year, 8760h)',
      ],
    ],
    [Array(51).fill('1s').join(), ['has 51 waits (at most 50)']],
  ])('"%s" is refused, with all that is wrong', (text, problems) => {
    expect(parseRetrySchedule(text)).toEqual({ problems });
  });

  test('that was written is read as the same schedule', () => {
    forAll(schedules, (schedule) => {
      expect(parseRetrySchedule(schedule.map(formatDuration).join())).toEqual({ schedule });
    });
  });
});

describe('after an attempt', () => {
  const schedule = [5_000, 30_000];
  const gaveUp = (reason: string) => ({ kind: 'finish', status: 'failed', reason });
  test.each([
    ['a success ends it', 1, sent, schedule, { kind: 'finish', status: 'sent' }],
    [
      'the first failure waits the first wait, from its end',
      1,
      temporary,
      schedule,
      { kind: 'retry', failedAttempt: 1, delayMs: 5_000, notBeforeMs: 1_005_000 },
    ],
    [
      'the second failure waits the second wait',
      2,
      temporary,
      schedule,
      { kind: 'retry', failedAttempt: 2, delayMs: 30_000, notBeforeMs: 1_030_000 },
    ],
    ['the last failure gives up', 3, temporary, schedule, gaveUp('timeout')],
    ['a permanent failure gives up at once', 1, permanent, schedule, gaveUp('blocked')],
    ['one beyond a shortened schedule gives up', 9, temporary, schedule, gaveUp('timeout')],
    ['one beyond a shortened schedule may still succeed', 9, sent, [], { kind: 'finish', status: 'sent' }],
  ] as const)('%s', (_, attempt, result, waits, step) => {
    expect(decideNextStep(attempt, result, waits as RetrySchedule, 1_000_000)).toEqual(step);
  });

  test('an SMS that always fails has one attempt more than the schedule has waits, each wait once', () => {
    forAll(schedules, (waits) => {
      const taken: number[] = [];
      let attempt = 1;
      for (; attempt <= 100; attempt += 1) {
        const step = decideNextStep(attempt, temporary, waits, 0);
        if (step.kind === 'finish') break;
        taken.push(step.delayMs);
      }
      expect([attempt, taken]).toEqual([waits.length + 1, waits]);
    });
  });

  test('no success and no permanent failure is ever retried', () => {
    forAll(schedules, integer({ min: 1, max: 1_000 }), (waits, attempt) => {
      for (const result of [sent, permanent]) {
        expect(decideNextStep(attempt, result, waits, 0).kind).toBe('finish');
      }
    });
  });
});

test.each([
  ['waits again where it waited', 2, [5_000, 30_000], { failedAttempt: 1, delayMs: 5_000 }],
  [
    'waits in the last queue after the schedule was shortened',
    9,
    [5_000],
    { failedAttempt: 1, delayMs: 5_000 },
  ],
  ['waits in the first queue although it never failed', 1, [5_000], { failedAttempt: 1, delayMs: 5_000 }],
  ['has nowhere to wait without a schedule', 2, [], undefined],
])('an SMS that is early %s', (_, attempt, schedule, place) => {
  expect(waitingPlaceOf(attempt, schedule)).toEqual(place);
});
