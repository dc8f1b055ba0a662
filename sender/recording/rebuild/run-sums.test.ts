import { expect, it } from 'vitest';
import type { OutcomeRecord } from '../../../shared/domain/outcome/outcome.ts';
import { Dice } from '../../../shared/rehearsal/dice.ts';
import { MemoryCounters } from '../../../shared/rehearsal/memory-counters.ts';
import { summarise } from '../summarise-outcome.ts';
import { RunSums } from './run-sums.ts';

const NOW_MS = Date.UTC(2026, 10, 22, 10, 0, 0);

function drawRecord(dice: Dice, index: number): OutcomeRecord {
  const status = dice.pick(['sent', 'failed', 'parked'] as const) ?? 'sent';
  const count = status === 'parked' ? 0 : dice.between(1, 4);
  const at = new Date(NOW_MS).toISOString();
  const attempts = Array.from({ length: count }, (_, attempt) => ({
    attempt: attempt + 1,
    startedAt: at,
    ...(dice.isHit(0.5) ? { lateMs: dice.pick([-3, 0, 31, 1_000, 2 ** 50]) ?? 0 } : {}),
    tookMs: dice.pick([0, 33, 47, 100_000, 2 ** 50]) ?? 0,
    result:
      status === 'sent' && attempt === count - 1 ? 'sent' : (dice.pick(['failed', 'unknown']) ?? 'failed'),
  }));
  const run = dice.pick(['demo', 'other']) ?? 'demo';
  const reason =
    status === 'sent' ? {} : { reason: dice.pick(['expired', 'a;b', 'x'.repeat(99)]) ?? 'expired' };
  const times = { acceptedAt: at, finishedAt: at };
  return { smsId: `sms-${index}`, run, queue: 'sms', status, ...reason, ...times, attempts };
}

it('what is summed is counted as what has a key of its own', async () => {
  const seed = Date.now() % 1_000_000;
  const dice = new Dice(seed);
  const records = Array.from({ length: 200 }, (_, index) => drawRecord(dice, index));
  const [kept, summed] = [0, 1].map(() => new MemoryCounters(() => NOW_MS, 1_000)) as [
    MemoryCounters,
    MemoryCounters,
  ];
  const [keeping, summing] = [kept.store('one'), summed.store('one')];
  for (const counters of [keeping, summing]) await counters.beginRebuild();
  const outcomes = records.map((record) => ({ ...summarise(record, () => 'd'), finishedAtMs: NOW_MS }));
  await keeping.rebuildOutcomes('20261122T100000000Z-one-000001', outcomes);
  const sums = new RunSums();
  for (const [index, record] of records.entries()) {
    sums.add(record);
    if (index === 100) await summing.rebuildSums(sums.take());
  }
  await summing.rebuildSums(sums.take());
  const countsOf = ({ runs }: MemoryCounters) =>
    Object.fromEntries(
      [...runs].map(([run, hash]) => [run, Object.fromEntries([...hash].filter(([, value]) => value !== 0))]),
    );
  expect(countsOf(summed), `seed ${seed}`).toEqual(countsOf(kept));
  expect(sums.addedCount).toBe(records.length);
});
