import { expect, it } from 'vitest';
import { ServerUnavailableError } from '../../errors.ts';
import { systemClock } from '../../process/system-clock.ts';
import { repeatRead } from './repeat-read.ts';

const clock = { ...systemClock, after: (_: number, callback: () => void) => systemClock.after(0, callback) };

it.each([
  ['stays away, at the fifth try', false, 5],
  ['refuses us, at once', true, 1],
])('gives up on a store that %s', async (_, isRefusal, expectedTries) => {
  let tries = 0;
  const read = () => {
    tries += 1;
    return Promise.reject(new ServerUnavailableError('no', { isRefusal }));
  };
  await expect(repeatRead(clock)(read)).rejects.toMatchObject({ message: 'no' });
  expect(tries).toBe(expectedTries);
});
