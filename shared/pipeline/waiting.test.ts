import { describe, expect, it } from 'vitest';
import { letRun, ManualClock } from '../../tests/kit/manual-clock.ts';
import { abortOf, Change, createBackoff, Grace, pause, untilAborted } from './waiting.ts';

/** Whether the promise has been kept, broken or neither. */
async function stateOf(promise: Promise<unknown>): Promise<string> {
  await letRun();
  const states = promise.then(
    () => 'kept',
    (reason: unknown) => `broken: ${String(reason)}`,
  );
  return Promise.race([states, letRun().then(() => 'open')]);
}

describe('a pause', () => {
  it('ends after its time, and earlier where the signal aborts', async () => {
    const clock = new ManualClock();
    const stop = new AbortController();
    const [short, long] = [pause(clock, 100, stop.signal), pause(clock, 1_000, stop.signal)];
    await clock.advance(100);
    expect([await stateOf(short), await stateOf(long)]).toEqual(['kept', 'open']);
    stop.abort();
    expect(await stateOf(long)).toBe('kept');
    expect(await stateOf(pause(clock, 1_000, stop.signal))).toBe('kept');
  });

  it('between tries is broken with the reason of the signal', async () => {
    const clock = new ManualClock();
    const stop = new AbortController();
    const backoff = createBackoff(stop.signal, clock, () => 0.5);
    const first = backoff(0);
    await clock.advance(49);
    expect(await stateOf(first)).toBe('open');
    await clock.advance(1);
    expect(await stateOf(first)).toBe('kept');
    const second = backoff(5);
    second.catch(() => {});
    stop.abort('over');
    expect(await stateOf(second)).toBe('broken: over');
  });
});

describe('work beside a signal', () => {
  it('is waited for until the signal aborts', async () => {
    const stop = new AbortController();
    const endless = untilAborted(new Promise(() => {}), stop.signal);
    expect(await stateOf(endless)).toBe('open');
    stop.abort();
    expect(await stateOf(endless)).toBe('kept');
    expect(await stateOf(abortOf(stop.signal))).toBe('kept');
  });

  it('tells why it failed', async () => {
    const failed = untilAborted(Promise.reject('no disk'), new AbortController().signal);
    failed.catch(() => {});
    expect(await stateOf(failed)).toBe('broken: no disk');
  });
});

it('a change is told to the one who waits, and a wait ends without one', async () => {
  const clock = new ManualClock();
  const change = new Change(clock);
  change.tell();
  const told = change.wait(Number.POSITIVE_INFINITY);
  expect(await stateOf(told)).toBe('open');
  change.tell();
  expect(await stateOf(told)).toBe('kept');
  const late = change.wait(1_000);
  await clock.advance(1_000);
  expect(await stateOf(late)).toBe('kept');
});

describe('a grace', () => {
  function graceOf(shutdown: AbortController) {
    const clock = new ManualClock();
    const changes: boolean[] = [];
    const grace: Grace = new Grace(clock, shutdown.signal, 5_000, () =>
      changes.push(shutdown.signal.aborted),
    );
    return { clock, changes, grace };
  }

  it('begins with the shutdown, also with one that came before', async () => {
    const shutdown = new AbortController();
    const { clock, changes, grace } = graceOf(shutdown);
    await clock.advance(60_000);
    expect([changes.length, grace.over.aborted]).toEqual([0, false]);
    shutdown.abort();
    await clock.advance(4_999);
    expect([changes.length, grace.over.aborted]).toEqual([1, false]);
    await clock.advance(1);
    expect([changes.length, grace.over.aborted]).toEqual([2, true]);
    expect(graceOf(shutdown).changes).toEqual([true]);
  });

  it('that has ended is never over', async () => {
    const shutdown = new AbortController();
    const { clock, grace } = graceOf(shutdown);
    shutdown.abort();
    grace.end();
    await clock.advance(10_000);
    expect(grace.over.aborted).toBe(false);
  });
});
