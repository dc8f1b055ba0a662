import { expect, it } from 'vitest';
import { ManualClock } from '../../../tests/kit/manual-clock.ts';
import type { CounterReading } from '../../ports/counter-reader.ts';
import type { QueueReadings } from '../../ports/queue-reader.ts';
import { LastKnown } from './last-known.ts';
import { MomentReader } from './moment.ts';

/** A Redis that knows so many SMS in progress at each reading, the last number for good, and a queue with so many. */
function readerOf(inProgress: readonly number[], waiting: () => number) {
  const clock = new ManualClock(0);
  const calls: string[] = [];
  let readings = 0;
  const counters = new LastKnown(clock, async () => {
    calls.push('counters');
    const reading = { inProgress: inProgress[Math.min(readings, inProgress.length - 1)] };
    readings += 1;
    return reading as unknown as CounterReading;
  });
  const queues = new LastKnown(clock, async () => {
    calls.push('queues');
    return { waiting: waiting() } as unknown as QueueReadings;
  });
  const reader = new MomentReader(clock, counters, queues, (moment) => {
    if (moment.counters.kind === 'stale' || moment.queues.kind === 'stale') return 0;
    const known = (moment.counters.reading as unknown as { inProgress: number }).inProgress;
    return Math.max(0, (moment.queues.reading as unknown as { waiting: number }).waiting - known);
  });
  return {
    calls,
    async read(): Promise<string[]> {
      calls.length = 0;
      let isDone = false;
      const reading = reader.read(1_000).finally(() => {
        isDone = true;
      });
      for (let turns = 0; !isDone && turns < 100; turns += 1) await clock.advance(50);
      await reading;
      return [...calls];
    },
  };
}

it('counters are read before the queues: what was seen to wait has no outcome in them', async () => {
  expect(await readerOf([5], () => 5).read()).toEqual(['counters', 'queues']);
});

it('counters are asked again while more SMS wait than are in progress, as their announcement is on its way', async () => {
  const reader = readerOf([0, 200, 1_000], () => 1_000);
  expect(await reader.read()).toEqual(['counters', 'queues', 'counters', 'counters']);
});

it('SMS that nobody announces are waited for once', async () => {
  let waiting = 7;
  const reader = readerOf([0], () => waiting);
  expect((await reader.read()).length).toBe(12);
  expect(await reader.read()).toEqual(['counters', 'queues']);
  waiting = 8;
  expect((await reader.read()).length).toBe(12);
});

it('counters are not asked any further once outcomes make it worse: the others are as unknown as before', async () => {
  const reader = readerOf([900, 800, 0], () => 1_000);
  expect(await reader.read()).toEqual(['counters', 'queues', 'counters']);
});
