import { expect, it } from 'vitest';
import { ServerUnavailableError } from '../shared/errors.ts';
import { systemClock } from '../shared/system-clock.ts';
import { PatientObjects } from './patient-objects.ts';

const clock = { ...systemClock, after: (_: number, callback: () => void) => systemClock.after(0, callback) };

it('goes on with a list where a page did not come, and tells each key once', async () => {
  const keys = ['a', 'b', 'c', 'd', 'e'];
  let lists = 0;
  const objects = {
    get: async () => undefined,
    async *list() {
      lists += 1;
      for (const [index, key] of keys.entries()) {
        if (index === lists * 2) throw new ServerUnavailableError('503', { isRefusal: false });
        yield key;
      }
    },
  };
  const listed: string[] = [];
  for await (const key of new PatientObjects(objects, clock).list('')) listed.push(key);
  expect(listed).toEqual(keys);
  expect(lists).toBe(3);
});

it.each([
  ['stays away, at the fifth try', false, 5],
  ['refuses us, at once', true, 1],
])('gives up on a store that %s', async (_, isRefusal, expectedTries) => {
  let tries = 0;
  const objects = {
    get: () => {
      tries += 1;
      return Promise.reject(new ServerUnavailableError('no', { isRefusal }));
    },
    async *list() {},
  };
  await expect(new PatientObjects(objects, clock).get('a')).rejects.toMatchObject({ message: 'no' });
  expect(tries).toBe(expectedTries);
});
