import { expect, test } from 'vitest';
import { ManualClock } from '../../../tests/kit/manual-clock.ts';
import { MemoryObjectStore } from '../../../tests/kit/stores/memory-object-store.ts';
import { outcomeObjectId, outcomeObjectKey } from '../../domain/outcome/outcome-object.ts';
import { OutcomeList } from '../story/outcome-list.ts';
import type { SearchBudget } from './newest-outcomes.ts';

const PREFIXES = { sent: 'success', failed: 'failed', parked: 'parked', known: 'known' };
const NOW_MS = Date.UTC(2026, 10, 29, 12, 0, 0);
const HOUR_MS = 3_600_000;
const STATUSES = ['sent', 'failed'] as const;

function recordOf(smsId: string, status: string) {
  const at = new Date(NOW_MS).toISOString();
  const attempt = { attempt: 1, startedAt: at, tookMs: 1, result: status };
  return { smsId, run: 'demo', queue: 'sms', status, acceptedAt: at, finishedAt: at, attempts: [attempt] };
}

/** Three SMS in each of some objects; their ids tell their order, the newest first. */
async function createBucket(
  hoursAgo: readonly number[],
): Promise<{ store: MemoryObjectStore; ids: string[] }> {
  const store = new MemoryObjectStore();
  const ids: string[] = [];
  for (const [index, hours] of hoursAgo.entries()) {
    const status = STATUSES[index % 2] ?? 'sent';
    const key = outcomeObjectKey(
      PREFIXES[status],
      outcomeObjectId(NOW_MS - hours * HOUR_MS - index, 'r', index + 1),
    );
    const own = [`${index}-c`, `${index}-b`, `${index}-a`];
    await store.put(key, Buffer.from(own.map((id) => `${JSON.stringify(recordOf(id, status))}\n`).join('')));
    ids.push(...own.reverse());
  }
  return { store, ids };
}

async function readAll(
  store: MemoryObjectStore,
  budget: SearchBudget,
  limit: number,
): Promise<{ ids: string[]; pages: number }> {
  const clock = new ManualClock(NOW_MS);
  const list = new OutcomeList(
    { queue: 'sms', prefixes: PREFIXES, budget, lookBackMs: 72 * HOUR_MS },
    store,
    clock,
  );
  const ids: string[] = [];
  let after: { objectId: string; line: number } | undefined;
  for (let pages = 1; pages < 1_000; pages += 1) {
    const { stories, cursor } = await list.read({ statuses: STATUSES, limit, after });
    ids.push(...stories.map(({ id }) => id));
    if (cursor === undefined) return { ids, pages };
    const [objectId = '', line = ''] = Buffer.from(cursor, 'base64url').toString().split('.');
    after = { objectId, line: Number(line) };
  }
  throw new Error('the pages do not end');
}

test.each([1, 2, 3, 4, 100])('pages of %i end inside objects, and hold each outcome once', async (limit) => {
  const { store, ids } = await createBucket([0, 0, 1, 3, 3, 30, 71]);
  expect((await readAll(store, { maxObjects: 500, maxMs: 5_000 }, limit)).ids).toEqual(ids);
});

test.each([
  ['no time', { maxObjects: 500, maxMs: 0 }],
  ['one object', { maxObjects: 1, maxMs: 5_000 }],
])('a search with a budget of %s gets on, past empty hours too', async (_, budget) => {
  const { store, ids } = await createBucket([0, 0, 30, 71]);
  expect((await readAll(store, budget, 100)).ids).toEqual(ids);
});

test('a moment in the far future costs no search through the hours until then', async () => {
  const { store, ids } = await createBucket([1]);
  let listed = 0;
  const counting = {
    get: (key: string) => store.get(key),
    list: (prefix: string) => {
      listed += 1;
      return store.list(prefix);
    },
  };
  const clock = new ManualClock(NOW_MS);
  const options = {
    queue: 'sms',
    prefixes: PREFIXES,
    budget: { maxObjects: 9, maxMs: 5_000 },
    lookBackMs: HOUR_MS,
  };
  const list = new OutcomeList(options, counting, clock);
  const query = { statuses: STATUSES, limit: 10, sinceMs: NOW_MS - 24 * HOUR_MS, untilMs: Date.UTC(9999, 0) };
  expect((await list.read(query)).stories.map(({ id }) => id)).toEqual(ids);
  expect(listed).toBeLessThan(10);
});
