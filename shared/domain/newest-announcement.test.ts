import { expect, test } from 'vitest';
import { findNewestAnnouncement } from './newest-announcement.ts';
import { announcementKey } from './outcome-object.ts';

function announced(accepted: number, changes: object = {}): object {
  return {
    ...{ run: 'demo', queue: 'sms', accepted, acceptedUpTo: accepted },
    input: 'generated',
    at: '',
    ...changes,
  };
}

async function find(objects: Record<number, object | string>) {
  const numbers = Object.keys(objects).map(Number);
  const bodies = new Map(numbers.map((number) => [announcementKey('demo', number), objects[number]]));
  const unreadable: string[] = [];
  const read: string[] = [];
  const newest = await findNewestAnnouncement(
    { run: 'demo', queue: 'sms', accepted: numbers },
    async (key) => {
      read.push(key);
      const body = bodies.get(key);
      return body === undefined
        ? undefined
        : Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
    },
    (key) => unreadable.push(key),
  );
  return { accepted: newest?.accepted, unreadable, readCount: read.length };
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
