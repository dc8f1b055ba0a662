import { expect, test } from 'vitest';
import type { RunAnnouncement } from '../../domain/outcome/outcome.ts';
import { announcementKey } from '../../domain/outcome/outcome-object.ts';
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

function announced(accepted: number, changes: object = {}): object {
  return {
    run: 'demo',
    queue: 'sms',
    accepted,
    acceptedUpTo: accepted,
    input: 'generated',
    at: '',
    ...changes,
  };
}

/** What is read of announcements of one run, by their numbers. */
async function find(announcements: Record<number, object | string>) {
  const bodies = new Map(
    Object.entries(announcements).map(([number, body]) => [announcementKey('demo', Number(number)), body]),
  );
  const unreadable: string[] = [];
  const read: string[] = [];
  const objects = {
    async get(key: string) {
      read.push(key);
      const body = bodies.get(key);
      return Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
    },
    async *list() {
      yield* bodies.keys();
    },
  };
  const newest: RunAnnouncement[] = [];
  for await (const each of readAnnouncements(objects, 'sms', (key) => unreadable.push(key)))
    newest.push(each);
  expect(newest.length).toBeLessThanOrEqual(1);
  return { accepted: newest[0]?.accepted, unreadable, readCount: read.length };
}

test.each([
  ['the largest', { 5: announced(5), 900: announced(900) }, 900, 1],
  [
    'the next where the largest is another pipeline’s',
    { 5: announced(5), 9: announced(9, { queue: 'b' }) },
    5,
    2,
  ],
  ['none where all are other pipelines’', { 9: announced(9, { queue: 'b' }) }, undefined, 1],
  ['none where there is none', {}, undefined, 0],
])('the newest announcement is %s', async (_, objects, accepted, readCount) => {
  expect(await find(objects)).toEqual({ accepted, unreadable: [], readCount });
});

test.each([
  ['is damaged', '{"run":"demo"'],
  ['is of another run', announced(9, { run: 'b' })],
  ['tells another number than its name', announced(8)],
])('one that %s is named, and the next counts', async (_, object) => {
  expect(await find({ 5: announced(5), 9: object })).toEqual({
    accepted: 5,
    unreadable: [announcementKey('demo', 9)],
    readCount: 2,
  });
});
