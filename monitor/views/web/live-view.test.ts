import { describe, expect, it } from 'vitest';
import type { HistorySample } from '../../../shared/domain/history.ts';
import type { Snapshot } from '../../../shared/domain/snapshot.ts';
import { SILENT } from '../../../shared/pipeline/readings/problems.ts';
import { ManualClock } from '../../../tests/kit/manual-clock.ts';
import { GOING_WELL } from '../../../tests/kit/snapshots.ts';
import { LiveView, type View } from './live-view.ts';

const START_MS = Date.parse(GOING_WELL.at);

function liveOf(stateNow: () => Snapshot['state'] = () => 'ok') {
  const clock = new ManualClock(START_MS);
  const kept: HistorySample[] = [];
  const views: View[] = [];
  const seen = { looks: 0, isWatched: false };
  const live = new LiveView({
    async look() {
      seen.looks += 1;
      const state = stateNow();
      const problems = state === 'stale' ? [SILENT.redis] : [];
      return { ...GOING_WELL, at: new Date(clock.nowMs()).toISOString(), state, problems };
    },
    history: {
      async keep(sample) {
        kept.push(sample);
        return true;
      },
      read: async () => kept,
    },
    clock,
    isWatched: () => seen.isWatched,
    onView: (view) => views.push(view),
  });
  return { live, clock, kept, views, seen };
}

async function passSeconds(clock: ManualClock, seconds: number): Promise<void> {
  for (let tenths = 0; tenths < seconds * 10; tenths += 1) await clock.advance(100);
}

describe('the reading of all pages', () => {
  it('is taken each second while somebody watches, and each 5 s while nobody does', async () => {
    const { live, clock, seen } = liveOf();
    const end = new AbortController();
    void live.run(end.signal);
    await passSeconds(clock, 20);
    expect(seen.looks).toBe(5);
    seen.isWatched = true;
    await passSeconds(clock, 20);
    expect(seen.looks).toBe(25);
    seen.isWatched = false;
    await passSeconds(clock, 20);
    expect(seen.looks).toBe(29);
    end.abort();
  });

  it('is one for all who ask at the same time, and a new one once it is a second old', async () => {
    const { live, clock, seen } = liveOf();
    const [first, second] = await Promise.all([live.current(), live.current()]);
    expect(second).toBe(first);
    expect(await live.current()).toBe(first);
    expect(seen.looks).toBe(1);
    await clock.advance(1_000);
    expect(await live.current()).not.toBe(first);
    expect(seen.looks).toBe(2);
  });

  it('tells how old the numbers are of a server that does not answer, and keeps none of them', async () => {
    let state: Snapshot['state'] = 'ok';
    const { live, clock, kept, views } = liveOf(() => state);
    await live.take();
    state = 'stale';
    await clock.advance(12_000);
    await live.take();
    expect(views.at(-1)?.sentence).toMatchObject({
      tone: 'trouble',
      text: expect.stringContaining('12 s old'),
    });
    expect(kept.length).toBe(1);
  });

  it('goes on after a look that failed', async () => {
    const { live } = liveOf(() => {
      throw new Error('once');
    });
    await expect(live.take()).rejects.toThrow('once');
    await expect(live.take()).rejects.toThrow('once');
  });
});
