import { beforeEach, describe, expect, test } from 'vitest';
import { ManualClock } from '../../tests/kit/manual-clock.ts';
import { RecordedLog } from '../../tests/kit/recorded-log.ts';
import { GatewayPause } from './gateway-pause.ts';

let clock: ManualClock;
let log: RecordedLog;
let meanMs: number | undefined;
let pause: GatewayPause;

beforeEach(() => {
  clock = new ManualClock();
  log = new RecordedLog();
  meanMs = 500;
  pause = new GatewayPause({
    ...{ clock, log, concurrency: 100, random: () => 1, onChange: () => {} },
    meanSendMs: () => meanMs,
  });
});

/** Begins whatever may begin within that time. @returns how many it was */
async function begunWithin(durationMs: number): Promise<number> {
  let count = 0;
  for (let passedMs = 0; passedMs < durationMs; passedMs += 5) {
    for (; pause.mayBegin(); count += 1) pause.begin();
    await clock.advance(5);
  }
  return count;
}

describe('a pause', () => {
  test('lasts until the moment that the gateway told', async () => {
    pause.noteThrottled(pause.begin(), clock.nowMs() + 700);
    await clock.advance(699);
    expect(pause.mayBegin()).toBe(false);
    await clock.advance(1);
    expect(pause.mayBegin()).toBe(true);
  });

  test.each([undefined, 0, Number.NaN, Number.POSITIVE_INFINITY])(
    'told as %s lasts a second, then twice as long each time, to at most 30 s',
    async (told) => {
      const lengths: number[] = [];
      for (let time = 0; time < 7; time += 1) {
        pause.noteThrottled(pause.begin(), told);
        lengths.push(pause.leftMs / 1_000);
        await clock.advance(pause.leftMs);
      }
      expect(lengths).toEqual([1, 2, 4, 8, 16, 30, 30]);
      pause.noteTaken(pause.begin());
      pause.noteThrottled(pause.begin(), told);
      expect(pause.leftMs).toBe(1_000);
    },
  );

  test('is drawn between nothing and its bound', () => {
    const drawn = new GatewayPause({
      ...{ clock, log, concurrency: 1, random: () => 0.25, onChange: () => {}, meanSendMs: () => 1 },
    });
    drawn.noteThrottled(drawn.begin());
    expect(drawn.leftMs).toBe(250);
  });

  test('is neither doubled nor ended by sends that began before it', async () => {
    const [first, second, third, fourth] = [pause.begin(), pause.begin(), pause.begin(), pause.begin()];
    pause.noteThrottled(first);
    pause.noteThrottled(second);
    pause.noteTaken(third);
    expect(pause.leftMs).toBe(1_000);
    await clock.advance(1_000);
    // The answer of an old send is no success after the pause.
    pause.noteTaken(fourth);
    pause.noteThrottled(pause.begin());
    expect(pause.leftMs).toBe(2_000);
  });

  test('is extended by a send that began before it and tells a later moment, not by an earlier one', () => {
    const [first, second, third] = [pause.begin(), pause.begin(), pause.begin()];
    pause.noteThrottled(first, clock.nowMs() + 5_000);
    pause.noteThrottled(second, clock.nowMs() + 9_000);
    pause.noteThrottled(third, clock.nowMs() + 2_000);
    expect(pause.leftMs).toBe(9_000);
  });

  test('of another sender counts as one, and does not double', () => {
    pause.learn(40_000);
    expect([pause.mayBegin(), pause.leftMs, pause.ownUntilMs]).toEqual([false, 40_000, 0]);
    pause.learn(0);
    pause.learn(10_000);
    expect(pause.leftMs).toBe(40_000);
  });

  test('of many days ends when it ends', async () => {
    const daysMs = 40 * 86_400_000;
    pause.noteThrottled(pause.begin(), clock.nowMs() + daysMs);
    clock.stepBy(daysMs - 90_000);
    await clock.advance(89_999);
    expect(pause.mayBegin()).toBe(false);
    await clock.advance(1);
    expect(pause.mayBegin()).toBe(true);
  });

  test('is told once where it is longer than a second, with its end', async () => {
    for (let time = 0; time < 3; time += 1) pause.noteThrottled(pause.begin(), clock.nowMs() + 3_000 + time);
    await clock.advance(4_000);
    expect(log.lines.map(({ level }) => level)).toEqual(['warn', 'info']);
    pause.noteThrottled(pause.begin(), clock.nowMs() + 900);
    await clock.advance(900);
    expect(log.lines.length).toBe(2);
  });
});

describe('after a pause', () => {
  beforeEach(async () => {
    pause.noteThrottled(pause.begin(), clock.nowMs() + 1_000);
    await clock.advance(1_000);
  });

  test('a tenth of the usual rate begins, twice as much each second, then any number', async () => {
    // 200 SMS/s when open. A second at r/s, steadily doubled, is r / ln 2 SMS.
    const expected = [20, 40, 80].map((perSecond) => perSecond / Math.LN2);
    for (const each of expected) {
      const count = await begunWithin(1_000);
      expect(count).toBeGreaterThan(each * 0.95 - 1);
      expect(count).toBeLessThan(each * 1.05 + 1);
    }
    await clock.advance(350);
    for (let sends = 0; sends < 1_000; sends += 1) {
      expect(pause.mayBegin()).toBe(true);
      pause.begin();
    }
  });

  test('a sender with nothing to send does not save up its part', async () => {
    await clock.advance(2_000);
    let burst = 0;
    for (; pause.mayBegin(); burst += 1) pause.begin();
    // A tenth of a second at 80/s.
    expect(burst).toBeLessThanOrEqual(9);
  });

  test('a clock that is set back does not stop it', async () => {
    await begunWithin(500);
    clock.stepBy(-3_600_000);
    expect(await begunWithin(1_000)).toBeGreaterThan(20);
  });

  test('it is paused again where the gateway throttles', () => {
    pause.noteThrottled(pause.begin());
    expect([pause.mayBegin(), pause.leftMs]).toEqual([false, 2_000]);
  });
});

test('the slowest ramp begins an SMS a second', async () => {
  meanMs = 120_000_000;
  pause.noteThrottled(pause.begin(), clock.nowMs() + 100);
  await clock.advance(100);
  expect(await begunWithin(3_000)).toBe(3);
});
