import { expect, test } from 'vitest';
import { letRun } from '../../../tests/kit/manual-clock.ts';
import { outcomeObjectId, outcomeObjectKey, probeObjectId } from '../../domain/outcome/outcome-object.ts';
import { Archive } from './archive.ts';

const PREFIXES = { sent: 'success', failed: 'failed', parked: 'parked', known: 'known' };
const BEGAN_AT_MS = Date.UTC(2026, 10, 22, 10, 0, 0);

/** So many objects of each status that take turns, made as they are asked for. */
class MadeUpBucket {
  readonly #objectsPerStatus: number;
  readonly #bodyBytes: number;
  listed = 0;
  asked = 0;
  used = 0;
  mostListedAhead = 0;
  mostAskedAhead = 0;

  constructor(objectsPerStatus: number, bodyBytes: number) {
    this.#objectsPerStatus = objectsPerStatus;
    this.#bodyBytes = bodyBytes;
  }

  async *list(prefix: string) {
    const shift = Object.values(PREFIXES).indexOf(prefix.slice(0, -1));
    for (let index = 0; index < this.#objectsPerStatus; index += 1) {
      if (index % 1_000 === 0) await letRun();
      this.listed += 1;
      this.mostListedAhead = Math.max(this.mostListedAhead, this.listed - this.used);
      const openedAtMs = BEGAN_AT_MS + (index * 4 + shift) * 1_000;
      yield outcomeObjectKey(prefix.slice(0, -1), outcomeObjectId(openedAtMs, 'one', index + 1));
    }
  }

  async get() {
    this.asked += 1;
    this.mostAskedAhead = Math.max(this.mostAskedAhead, this.asked - this.used);
    await letRun();
    return Buffer.alloc(this.#bodyBytes);
  }
}

async function readAll(bucket: MadeUpBucket): Promise<string[]> {
  const objectIds: string[] = [];
  for await (const { objectId } of new Archive(bucket, PREFIXES, 'sms').outcomes()) {
    objectIds.push(objectId);
    bucket.used += 1;
  }
  return objectIds;
}

test('objects come in the order of their ids, whatever prefix they are under', async () => {
  const objectIds = await readAll(new MadeUpBucket(2_500, 10));
  expect(objectIds).toHaveLength(10_000);
  expect(objectIds).toEqual([...objectIds].sort());
});

test('of objects that were opened before a moment nothing is fetched', async () => {
  const bucket = new MadeUpBucket(10, 10);
  const objectIds: string[] = [];
  const archive = new Archive(bucket, PREFIXES, 'sms');
  for await (const { objectId } of archive.outcomes(['failed'], BEGAN_AT_MS + 25_000))
    objectIds.push(objectId);
  // Those of a failed SMS are opened 1, 5, 9, … 37 s after the beginning.
  expect(objectIds.map((id) => id.slice(13, 15))).toEqual(['25', '29', '33', '37']);
  expect(bucket.asked).toBe(4);
});

test('the keys of a pipeline are those of its records, and those by which a recorder tried S3', async () => {
  const record = JSON.stringify({ queue: 'sms' });
  const foreign = JSON.stringify({ queue: 'other' });
  const bodies = new Map([
    [outcomeObjectKey('success', probeObjectId(BEGAN_AT_MS, 'one')), ''],
    [outcomeObjectKey('success', outcomeObjectId(BEGAN_AT_MS, 'one', 1)), record],
    [outcomeObjectKey('success', outcomeObjectId(BEGAN_AT_MS, 'one', 2)), foreign],
    [outcomeObjectKey('success', outcomeObjectId(BEGAN_AT_MS, 'one', 3)), ''],
  ]);
  const bucket = {
    async *list(prefix: string) {
      for (const key of bodies.keys()) if (key.startsWith(prefix)) yield key;
    },
    get: async (key: string) => Buffer.from(bodies.get(key) ?? ''),
  };
  const keys: string[] = [];
  for await (const key of new Archive(bucket, PREFIXES, 'sms').keys()) keys.push(key);
  expect(keys).toEqual([...bodies.keys()].slice(0, 2));
});

test('of a long history two pages of keys a prefix are held, and small objects are read 32 ahead', async () => {
  const bucket = new MadeUpBucket(20_000, 400);
  expect(await readAll(bucket)).toHaveLength(80_000);
  expect(bucket.mostListedAhead).toBeLessThanOrEqual(4 * 2_000 + 64);
  expect(bucket.mostAskedAhead).toBeGreaterThanOrEqual(32);
  expect(bucket.mostAskedAhead).toBeLessThanOrEqual(33);
});

test('of objects of two megabytes some sixteen megabytes are held', async () => {
  const bucket = new MadeUpBucket(20, 2 * 1024 * 1024);
  await readAll(bucket);
  expect(bucket.mostAskedAhead).toBeLessThanOrEqual(9);
});

test('a reader that leaves does not wait for a page that hangs', async () => {
  const bucket = new MadeUpBucket(1_000, 10);
  const hanging = {
    get: () => bucket.get(),
    async *list(prefix: string) {
      yield* bucket.list(prefix);
      await new Promise(() => {});
    },
  };
  let count = 0;
  for await (const _ of new Archive(hanging, PREFIXES, 'sms').outcomes()) {
    count += 1;
    if (count === 10) break;
  }
  expect(count).toBe(10);
});
