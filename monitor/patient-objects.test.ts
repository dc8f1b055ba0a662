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

it('gives up on a store that stays away, at the fifth try', async () => {
  let tries = 0;
  const objects = {
    get: () => {
      tries += 1;
      return Promise.reject(new ServerUnavailableError('503', { isRefusal: false }));
    },
    async *list() {},
  };
  await expect(new PatientObjects(objects, clock).get('a')).rejects.toMatchObject({ message: '503' });
  expect(tries).toBe(5);
});
