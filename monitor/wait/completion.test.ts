import { describe, expect, it } from 'vitest';
import type { Snapshot } from '../../shared/domain/snapshot.ts';
import { GOING_WELL } from '../../tests/kit/snapshots.ts';
import { afterLook, NOT_COMPLETE } from './completion.ts';

const EMPTY = { ...GOING_WELL.queues, work: 0, due: 0, journal: 0, retry: [] };
const DONE: Snapshot = { ...GOING_WELL, sent: 9_888, inProgress: 0, queues: EMPTY };

/** When looks that are 500 ms apart find a run to be over; undefined where they never do. */
function overAfterMs(looks: readonly Partial<Snapshot>[]): number | undefined {
  let completion = NOT_COMPLETE;
  for (const [index, changes] of looks.entries()) {
    completion = afterLook(completion, { ...DONE, ...changes }, index * 500);
    if (completion.isOver) return index * 500;
  }
  return undefined;
}
const again = (count: number, changes: Partial<Snapshot> = {}) =>
  Array.from({ length: count }, () => changes);

describe('a run', () => {
  it('is over once all outcomes are there for longer than a producer takes to announce more', () => {
    expect(overAfterMs(again(10))).toBe(2_000);
  });

  it('begins anew when more SMS are accepted', () => {
    expect(
      overAfterMs([...again(4), { accepted: 10_001, sent: 9_889 }, ...again(10, { accepted: 10_001 })]),
    ).toBe(4_000);
  });

  it.each<[string, Partial<Snapshot>]>([
    ['nothing is accepted yet', { accepted: 0, sent: 0, failed: 0 }],
    ['nothing is known', { accepted: null, inProgress: null }],
    ['some are in progress', { inProgress: 1 }],
    ['a server does not answer', { state: 'stale' }],
    ['the counters are made again', { state: 'rebuilding' }],
    ['SMS wait that are not counted', { queues: { ...EMPTY, work: 1 } }],
    ['SMS are held', { queues: { ...EMPTY, hold: [{ delaySeconds: 4, messages: 1 }] } }],
    ['SMS wait for a retry', { queues: { ...EMPTY, retry: [{ attempt: 1, delaySeconds: 5, messages: 1 }] } }],
    ['results are to be recorded', { queues: { ...EMPTY, journal: 1 } }],
    ['the queues are not known', { queues: { ...EMPTY, work: null } }],
  ])('is not over while %s', (_, changes) => expect(overAfterMs(again(100, changes))).toBeUndefined());

  it('is over later beside other runs, because the queues do not tell whose SMS wait', () => {
    const queues = { ...EMPTY, work: 50 };
    expect(overAfterMs(again(100, { run: 'mine', queues }))).toBe(15_000);
    expect(overAfterMs(again(100, { run: 'mine' }))).toBe(2_000);
  });
});
