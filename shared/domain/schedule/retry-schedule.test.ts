import { array, integer } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { forAll } from '../../../tests/kit/for-all.ts';
import type { AttemptResult } from '../outcome/attempt.ts';
import { formatDuration, MAX_DURATION_MS } from './duration.ts';
import {
  decideNextStep,
  decideStart,
  EXPIRY_MARGIN_MS,
  type MadeAttempt,
  parseRetrySchedule,
  REASONS,
  type RetrySchedule,
} from './retry-schedule.ts';
import { parseSendingWindow } from './sending-window.ts';

const sent: AttemptResult = { kind: 'sent' };
const temporary: AttemptResult = { kind: 'failed', reason: 'timeout', isPermanent: false };
const permanent: AttemptResult = { kind: 'failed', reason: 'blocked', isPermanent: true };
const unknown: AttemptResult = { kind: 'unknown', reason: 'no clear answer' };

/** An attempt that ended then, of an SMS that was accepted at 0 and does not expire. */
function madeAt(
  finishedAtMs: number,
  attempt: number,
  result: AttemptResult,
  more: Partial<MadeAttempt> = {},
): MadeAttempt {
  return { attempt, result, finishedAtMs, anchorMs: 0, expiresAtMs: undefined, ...more };
}

function windowOf(text: string) {
  const parsed = parseSendingWindow(text);
  if ('problem' in parsed) throw new Error(parsed.problem);
  return parsed.window;
}

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
      { kind: 'retry', place: { failedAttempt: 1, delayMs: 5_000 }, notBeforeMs: 1_005_000 },
    ],
    [
      'the second failure waits the second wait',
      2,
      temporary,
      schedule,
      { kind: 'retry', place: { failedAttempt: 2, delayMs: 30_000 }, notBeforeMs: 1_030_000 },
    ],
    ['the last failure gives up', 3, temporary, schedule, gaveUp('timeout')],
    ['a permanent failure gives up at once', 1, permanent, schedule, gaveUp('blocked')],
    ['one beyond a shortened schedule gives up', 9, temporary, schedule, gaveUp('timeout')],
    ['one beyond a shortened schedule may still succeed', 9, sent, [], { kind: 'finish', status: 'sent' }],
  ] as const)('%s', (_, attempt, result, waits, step) => {
    expect(decideNextStep(madeAt(1_000_000, attempt, result), { schedule: waits as RetrySchedule })).toEqual(
      step,
    );
  });

  test('an SMS that always fails has one attempt more than the schedule has waits, each wait once', () => {
    forAll(schedules, (waits) => {
      const taken: number[] = [];
      let attempt = 1;
      for (; attempt <= 100; attempt += 1) {
        const step = decideNextStep(madeAt(0, attempt, temporary), { schedule: waits });
        if (step.kind === 'finish') break;
        taken.push(step.place?.delayMs ?? 0);
      }
      expect([attempt, taken]).toEqual([waits.length + 1, waits]);
    });
  });

  test('no success and no permanent failure is ever retried', () => {
    forAll(schedules, integer({ min: 1, max: 1_000 }), (waits, attempt) => {
      for (const result of [sent, permanent]) {
        expect(decideNextStep(madeAt(0, attempt, result), { schedule: waits }).kind).toBe('finish');
      }
    });
  });
});

describe('an attempt without a clear answer', () => {
  const schedule = [5_000];
  test('is followed by another one, as a failure is', () => {
    expect(decideNextStep(madeAt(0, 1, unknown), { schedule })).toMatchObject({ kind: 'retry' });
    expect(decideNextStep(madeAt(0, 2, unknown), { schedule })).toMatchObject({ reason: REASONS.unknown });
  });
  test('ends the SMS where another text on a phone is worse than none', () => {
    expect(decideNextStep(madeAt(0, 1, unknown), { schedule, unknownResult: 'give-up' })).toEqual({
      kind: 'finish',
      status: 'failed',
      reason: REASONS.unknown,
    });
  });
});

describe('waits that count from acceptance', () => {
  const rules = { schedule: [5_000, 30_000], anchor: 'accepted' } as const;
  test('are added up, and the time that the attempts took is not added', () => {
    const first = decideNextStep(madeAt(1_200, 1, temporary), rules);
    expect(first).toEqual({ kind: 'retry', place: undefined, notBeforeMs: 5_000 });
    expect(decideNextStep(madeAt(6_500, 2, temporary), rules)).toMatchObject({ notBeforeMs: 35_000 });
  });
  test('that are over already let the next attempt follow at once', () => {
    expect(decideNextStep(madeAt(9_000, 1, temporary), rules)).toMatchObject({ notBeforeMs: 9_000 });
  });
});

describe('a sending window', () => {
  const window = windowOf('08:00-21:00 UTC');
  const at = (time: string) => Date.parse(`2026-12-01T${time}Z`);
  const nextMorning = Date.parse('2026-12-02T08:00:00Z');
  test('lets what is due while it is closed wait for its opening', () => {
    const rules = { schedule: [5_000], window };
    const times = { notBeforeMs: undefined, expiresAtMs: undefined };
    expect(decideStart(times, rules, at('12:00'))).toEqual({ kind: 'begin' });
    expect(decideStart(times, rules, at('21:00'))).toEqual({ kind: 'wait', notBeforeMs: nextMorning });
    expect(decideStart({ ...times, notBeforeMs: at('23:00') }, rules, at('12:00'))).toEqual({
      kind: 'wait',
      notBeforeMs: nextMorning,
    });
    expect(decideNextStep(madeAt(at('20:59:58'), 1, temporary), rules)).toEqual({
      kind: 'retry',
      place: undefined,
      notBeforeMs: nextMorning,
    });
  });
});

describe('an SMS that expires', () => {
  const rules = { schedule: [5_000] };
  const expiresAtMs = 10_000;
  test('may begin until a second before, and not after', () => {
    const startAt = (nowMs: number, notBeforeMs?: number) =>
      decideStart({ notBeforeMs, expiresAtMs }, rules, nowMs).kind;
    expect(startAt(expiresAtMs - EXPIRY_MARGIN_MS)).toBe('begin');
    expect(startAt(expiresAtMs - EXPIRY_MARGIN_MS + 1)).toBe('expired');
    expect(startAt(0, expiresAtMs - EXPIRY_MARGIN_MS)).toBe('wait');
    expect(startAt(0, expiresAtMs)).toBe('expired');
  });
  test('ends when its next attempt could only come too late', () => {
    const stepAt = (finishedAtMs: number) =>
      decideNextStep(madeAt(finishedAtMs, 1, temporary, { expiresAtMs }), rules);
    expect(stepAt(4_000)).toMatchObject({ kind: 'retry' });
    expect(stepAt(4_001)).toEqual({ kind: 'finish', status: 'failed', reason: REASONS.expired });
  });
});
