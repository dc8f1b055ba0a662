import { expect, test } from 'vitest';
import { announcementKey } from '../../domain/outcome-object.ts';
import { readAnnouncements } from './announcements.ts';

/** Runs with their announced numbers, those of another pipeline given by name; no body is held. */
function bucketOf(runs: Readonly<Record<string, { count: number; foreignFrom: number }>>) {
  const read: string[] = [];
  const keys = Object.entries(runs)
    .flatMap(([run, { count }]) =>
      Array.from({ length: count }, (_, index) => announcementKey(run, index + 1)),
    )
    .sort();
  return {
    read,
    async get(key: string) {
      read.push(key);
      const [, run = '', name = ''] = key.split('/');
      const accepted = Number(name.slice(0, -'.json'.length));
      const queue = accepted >= (runs[run]?.foreignFrom ?? 0) ? 'another' : 'sms';
      return Buffer.from(
        JSON.stringify({ run, queue, accepted, acceptedUpTo: accepted, input: 'generated', at: '' }),
      );
    },
    async *list(prefix: string) {
      yield* keys.filter((key) => key.startsWith(prefix));
    },
  };
}

async function newestOf(objects: ReturnType<typeof bucketOf>): Promise<Record<string, number>> {
  const newest: Record<string, number> = {};
  for await (const { run, accepted } of readAnnouncements(objects, 'sms', () => {})) newest[run] = accepted;
  return newest;
}

test('of each run the newest announcement is read, and no other', async () => {
  const runs = Object.fromEntries(
    Array.from({ length: 40 }, (_, index) => [`run-${index}`, { count: 3 + index, foreignFrom: 10_000 }]),
  );
  const objects = bucketOf(runs);
  expect(await newestOf(objects)).toEqual(
    Object.fromEntries(Object.entries(runs).map(([run, { count }]) => [run, count])),
  );
  expect(objects.read).toHaveLength(40);
});

test('a run that another pipeline announced thousands of times more often is found all the same', async () => {
  const objects = bucketOf({
    demo: { count: 3_500, foreignFrom: 8 },
    foreign: { count: 1_200, foreignFrom: 1 },
  });
  expect(await newestOf(objects)).toEqual({ demo: 7 });
});
