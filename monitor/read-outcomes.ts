/**
 * Reads all outcome objects of a pipeline, in the order of their ids over the three prefixes together, so that the
 * result does not depend on timing: of an SMS with two records the one in the smallest object id counts.
 * Memory is bounded: keys are merged while they are listed, and a few objects are fetched ahead.
 */
import { isOutcomeRecord, OUTCOME_STATUSES, type OutcomeStatus } from '../shared/domain/outcome.ts';
import { type OutcomePrefixes, objectIdOfKey, outcomeObjectKey } from '../shared/domain/outcome-object.ts';
import type { ReadableObjects } from './patient-objects.ts';
import type { StoredOutcomes } from './stored-outcomes.ts';
import type { UnreadableObjects } from './unreadable-objects.ts';

const FETCHED_AHEAD = 6;
const LINE_FEED = 0x0a;

interface OutcomeKey {
  readonly key: string;
  readonly objectId: string;
  readonly status: OutcomeStatus;
}

/** @throws what the store throws: a store that cannot be read is not one without outcomes */
export async function readOutcomes(
  objects: ReadableObjects,
  prefixes: OutcomePrefixes,
  queue: string,
  stored: StoredOutcomes,
  unreadable: UnreadableObjects,
): Promise<void> {
  const lists = OUTCOME_STATUSES.map((status) => listKeys(objects, prefixes[status], status, unreadable));
  for await (const { key, status, body } of fetchAhead(objects, mergeByObjectId(lists))) {
    const problem = body === undefined ? 'was listed, but is gone' : readObject(body, status, queue, stored);
    if (problem !== undefined) unreadable.add(key, problem);
  }
}

// Within a prefix, key order is the order of object ids, because date and hour come from the id.
async function* listKeys(
  objects: ReadableObjects,
  prefix: string,
  status: OutcomeStatus,
  unreadable: UnreadableObjects,
): AsyncGenerator<OutcomeKey> {
  for await (const key of objects.list(`${prefix}/`)) {
    const objectId = objectIdOfKey(key);
    if (objectId !== undefined && outcomeObjectKey(prefix, objectId) === key) yield { key, objectId, status };
    else unreadable.add(key, 'is not an object of Redial');
  }
}

async function* mergeByObjectId(lists: readonly AsyncGenerator<OutcomeKey>[]): AsyncGenerator<OutcomeKey> {
  const heads = await Promise.all(lists.map((list) => list.next()));
  for (;;) {
    const smallest = indexOfSmallest(heads);
    const head = heads[smallest];
    const list = lists[smallest];
    if (head === undefined || head.done === true || list === undefined) return;
    yield head.value;
    heads[smallest] = await list.next();
  }
}

function indexOfSmallest(heads: readonly IteratorResult<OutcomeKey>[]): number {
  let smallest: { readonly index: number; readonly objectId: string } | undefined;
  for (const [index, head] of heads.entries()) {
    if (head.done === true) continue;
    const { objectId } = head.value;
    if (smallest === undefined || objectId < smallest.objectId) smallest = { index, objectId };
  }
  return smallest?.index ?? -1;
}

type FetchedObject = OutcomeKey & { readonly body: Buffer | undefined };

async function* fetchAhead(
  objects: ReadableObjects,
  keys: AsyncIterable<OutcomeKey>,
): AsyncGenerator<FetchedObject> {
  const ahead: Promise<FetchedObject>[] = [];
  for await (const key of keys) {
    const fetched = objects.get(key.key).then((body) => ({ ...key, body }));
    // Awaited in turn; until then a failure must not count as unhandled.
    fetched.catch(() => {});
    ahead.push(fetched);
    if (ahead.length >= FETCHED_AHEAD) yield* takeFirst(ahead);
  }
  while (ahead.length > 0) yield* takeFirst(ahead);
}

async function* takeFirst(ahead: Promise<FetchedObject>[]): AsyncGenerator<FetchedObject> {
  const first = ahead.shift();
  if (first !== undefined) yield await first;
}

/** Counts every line that can be read; what is wrong with the object otherwise. */
function readObject(
  body: Buffer,
  status: OutcomeStatus,
  queue: string,
  stored: StoredOutcomes,
): string | undefined {
  if (body.length === 0) return 'is empty';
  let unreadableLines = 0;
  for (const line of linesOf(body)) {
    const record = parseLine(line);
    if (!isOutcomeRecord(record) || record.status !== status) unreadableLines += 1;
    else if (record.queue === queue) stored.add(record);
  }
  return unreadableLines === 0 ? undefined : `has ${unreadableLines} lines that cannot be read`;
}

// Line by line, as an object may be larger than the longest string.
function* linesOf(body: Buffer): Generator<string> {
  let start = 0;
  while (start < body.length) {
    const lineFeed = body.indexOf(LINE_FEED, start);
    const end = lineFeed < 0 ? body.length : lineFeed;
    yield body.toString('utf8', start, end);
    start = end + 1;
  }
}

function parseLine(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
