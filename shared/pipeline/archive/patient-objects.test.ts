import { expect, it } from 'vitest';
import { PatientObjects, type Repeat } from './patient-objects.ts';

const repeatAlways: Repeat = async (call) => {
  for (;;) {
    try {
      return await call();
    } catch {
      // Again.
    }
  }
};

it.each([
  ['a store that can begin behind a key', true],
  ['a store that begins anew', false],
])('goes on with the list of %s where a page did not come, and tells each key once', async (_, canResume) => {
  const keys = ['a', 'b', 'c', 'd', 'e'];
  const begunAfter: (string | undefined)[] = [];
  const objects = {
    get: async () => undefined,
    async *list(_prefix: string, after?: string) {
      begunAfter.push(after);
      const rest = canResume ? keys.filter((key) => key > (after ?? '')) : keys;
      for (const key of rest) {
        if (begunAfter.length < 3 && key === keys[begunAfter.length * 2]) throw new Error('503');
        yield key;
      }
    },
  };
  const listed: string[] = [];
  for await (const key of new PatientObjects(objects, repeatAlways).list('')) listed.push(key);
  expect(listed).toEqual(keys);
  expect(begunAfter).toEqual([undefined, 'b', 'd']);
});
