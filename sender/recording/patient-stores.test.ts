import { expect, test } from 'vitest';
import { CountersLostError, ServerUnavailableError } from '../../shared/errors.ts';
import { ManualClock } from '../../tests/kit/manual-clock.ts';
import { RecordedLog } from '../../tests/kit/recorded-log.ts';
import { PatientStores } from './patient-stores.ts';
import type { RecorderOptions } from './recorder-options.ts';
import type { WorkInHand } from './work-in-hand.ts';

test('Redis is away from the first sign of life that it does not answer until one that it does, lost counters or not', async () => {
  const clock = new ManualClock();
  let failure: Error | undefined;
  const counters = {
    signalLife: () => (failure === undefined ? Promise.resolve() : Promise.reject(failure)),
  };
  const options = { clock, log: new RecordedLog(), counters } as unknown as RecorderOptions;
  const stores = new PatientStores(options, {} as WorkInHand, () => {});
  const signal = () => stores.signalLife().catch((error: Error) => error);
  expect(stores.awayMs).toEqual({ redis: 0, s3: 0 });
  failure = new ServerUnavailableError('Redis does not answer', { isRefusal: false });
  // Who calls must hear of it.
  expect(await signal()).toBe(failure);
  await clock.advance(2_000);
  await signal();
  await clock.advance(1_000);
  expect(stores.awayMs).toEqual({ redis: 3_000, s3: 0 });
  // An answer all the same.
  failure = new CountersLostError();
  await signal();
  expect(stores.awayMs.redis).toBe(0);
});
