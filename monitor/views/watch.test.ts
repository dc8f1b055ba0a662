import { describe, expect, it } from 'vitest';
import { ServerUnavailableError } from '../../shared/errors.ts';
import { LastKnown } from '../../shared/pipeline/readings/last-known.ts';
import { systemClock } from '../../shared/process/system-clock.ts';
import { readingDeadlineMs, watch } from './watch.ts';

/** A clock that jumps to whatever is waited for, once nothing else is left to do. */
function jumpingClock(startMs = 0) {
  let nowMs = startMs;
  return {
    nowMs: () => nowMs,
    pass: (durationMs: number) => {
      nowMs += durationMs;
    },
    after(delayMs: number, callback: () => void) {
      const immediate = setImmediate(() => {
        nowMs += delayMs;
        callback();
      });
      return () => clearImmediate(immediate);
    },
  };
}

async function timesOfLooks(looksTakeMs: readonly number[]): Promise<number[]> {
  const clock = jumpingClock(1_000);
  const shutdown = new AbortController();
  const times: number[] = [];
  await watch(clock, 5_000, shutdown.signal, async () => {
    times.push(clock.nowMs());
    clock.pass(looksTakeMs[times.length - 1] ?? 0);
    if (times.length === looksTakeMs.length) shutdown.abort('SIGTERM');
  });
  return times;
}

describe('watching', () => {
  it('looks at every interval from the start, however long a look takes', async () => {
    expect(await timesOfLooks([0, 30, 4_000, 0])).toEqual([1_000, 6_000, 11_000, 16_000]);
  });

  it('leaves out the intervals that a look has taken up', async () => {
    expect(await timesOfLooks([0, 12_000, 0])).toEqual([1_000, 6_000, 21_000]);
  });

  it('ends at once in the middle of a look and of a wait', async () => {
    const startedAtMs = Date.now();
    const duringLook = new AbortController();
    setTimeout(() => duringLook.abort(), 20);
    await watch(systemClock, 60_000, duringLook.signal, () => new Promise(() => {}));
    const duringWait = new AbortController();
    setTimeout(() => duringWait.abort(), 20);
    await watch(systemClock, 60_000, duringWait.signal, async () => {});
    expect(Date.now() - startedAtMs).toBeLessThan(1_000);
  });

  it.each([
    [5_000, 4_000],
    [60_000, 5_000],
    [100, 1_000],
  ])('with an interval of %i ms waits for a server for %i ms', (intervalMs, deadlineMs) => {
    expect(readingDeadlineMs(intervalMs)).toBe(deadlineMs);
  });
});

describe('a server that does not answer', () => {
  it('is stale with its last numbers when it hangs, and when it is gone', async () => {
    const answers = [
      () => Promise.resolve(7),
      () => new Promise<number>(() => {}),
      () => Promise.reject(new ServerUnavailableError('gone', { isRefusal: false })),
    ];
    const known = new LastKnown(jumpingClock(), () => (answers.shift() ?? (() => Promise.resolve(8)))());
    expect(await known.read(4_000)).toEqual({ kind: 'current', reading: 7, askedAtMs: 0 });
    expect(await known.read(4_000)).toEqual({
      kind: 'stale',
      lastReading: 7,
      askedAtMs: 0,
      reason: 'no answer within 4 s',
    });
    expect(await known.read(4_000)).toMatchObject({
      kind: 'stale',
      lastReading: 7,
      reason: 'gone',
      askedAtMs: 0,
    });
    expect(await known.read(4_000)).toEqual({ kind: 'current', reading: 8, askedAtMs: 4_000 });
  });

  it('is remembered by an answer that came too late', async () => {
    let answer: (value: number) => void = () => {};
    const late = new Promise<number>((resolve) => {
      answer = resolve;
    });
    const answers = [late, new Promise<number>(() => {})];
    const known = new LastKnown(jumpingClock(), () => answers.shift() ?? Promise.resolve(0));
    expect(await known.read(10)).toMatchObject({ lastReading: undefined });
    answer(3);
    await late;
    expect(await known.read(10)).toMatchObject({ kind: 'stale', lastReading: 3 });
  });
});
