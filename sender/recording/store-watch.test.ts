import { expect, test } from 'vitest';
import { ManualClock } from '../../tests/kit/manual-clock.ts';
import { RecordedLog } from '../../tests/kit/recorded-log.ts';
import { StoreWatch } from './store-watch.ts';

test('a store is away from the start of the first call that failed until anything succeeds', async () => {
  const clock = new ManualClock();
  const watch = new StoreWatch('S3', clock, new RecordedLog());
  expect(watch.awayMs).toBe(0);
  const startedAtMs = clock.nowMs();
  await clock.advance(3_000);
  expect(watch.awayMs).toBe(0);
  // It hung for three seconds, and then it was a failure.
  watch.noteFailure('put success/', new Error('timeout'), startedAtMs);
  await clock.advance(2_000);
  expect(watch.awayMs).toBe(5_000);
  watch.noteSuccess('put failed/', clock.nowMs());
  expect(watch.awayMs).toBe(0);
  // The clock is set back: not away for less than no time.
  watch.noteFailure('put success/', new Error('timeout'), clock.nowMs());
  clock.stepBy(-60_000);
  expect(watch.awayMs).toBe(0);
});
