/**
 * The one reader of the outcomes in S3: all objects of a pipeline in the order of their ids, over the three prefixes
 * together. The result does not depend on timing: of an SMS with two records the one in the smallest object id comes
 * first, and what to do with the second is the caller's choice.
 *
 * Memory is bounded whatever S3 holds: keys are merged page by page while they are listed, and at most 32 objects
 * (some 16 MB) are fetched ahead.
 */
import {
  isOutcomeRecord,
  OUTCOME_STATUSES,
  type OutcomeRecord,
  type OutcomeStatus,
} from '../../domain/outcome.ts';
import { type OutcomePrefixes, objectIdOfKey, outcomeObjectKey } from '../../domain/outcome-object.ts';
import type { ReadableObjects } from './patient-objects.ts';
import { mapAhead, readAhead } from './read-ahead.ts';

export interface OutcomeKey {
  readonly key: string;
  readonly objectId: string;
  readonly status: OutcomeStatus;
}

/** A body is undefined where the object was listed and is gone. */
export type Fetched<Key> = Key & { readonly body: Buffer | undefined };

/** Told of each object that cannot be believed. */
export type OnUnreadable = (key: string, reason: string) => void;

export const KEYS_PER_PAGE = 1_000;
const MAX_OBJECTS_AHEAD = 32;
const MIN_OBJECTS_AHEAD = 2;
const BYTES_AHEAD = 16 * 1024 * 1024;
// How fast one large object is forgotten when small ones follow.
const SIZE_DECAY = 0.9;
const LINE_FEED = 0x0a;

/**
 * @param statuses only objects with outcomes of these
 * @throws what the store throws: a store that cannot be read is not one without outcomes
 */
export function readOutcomeObjects(
  objects: ReadableObjects,
  prefixes: OutcomePrefixes,
  onUnreadable: OnUnreadable,
  statuses: readonly OutcomeStatus[] = OUTCOME_STATUSES,
): AsyncGenerator<Fetched<OutcomeKey>> {
  const lists = statuses.map((status) =>
    readAhead(listKeys(objects, prefixes[status], status, onUnreadable), KEYS_PER_PAGE),
  );
  return fetchAhead(objects, mergeByObjectId(lists));
}

// Within a prefix, key order is the order of object ids, because date and hour come from the id.
async function* listKeys(
  objects: ReadableObjects,
  prefix: string,
  status: OutcomeStatus,
  onUnreadable: OnUnreadable,
): AsyncGenerator<OutcomeKey> {
  for await (const key of objects.list(`${prefix}/`)) {
    const objectId = objectIdOfKey(key);
    if (objectId !== undefined && outcomeObjectKey(prefix, objectId) === key) yield { key, objectId, status };
    else onUnreadable(key, 'is not an object of Redial');
  }
}

async function* mergeByObjectId(lists: readonly AsyncGenerator<OutcomeKey>[]): AsyncGenerator<OutcomeKey> {
  try {
    const heads = await Promise.all(lists.map((list) => list.next()));
    for (;;) {
      const smallest = indexOfSmallest(heads);
      const head = heads[smallest];
      const list = lists[smallest];
      if (head === undefined || head.done === true || list === undefined) return;
      yield head.value;
      heads[smallest] = await list.next();
    }
  } finally {
    for (const list of lists) list.return(undefined).catch(() => {});
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

/** The objects in the order of their keys. As many are fetched ahead as their sizes allow: few at first. */
export function fetchAhead<Key extends { readonly key: string }>(
  objects: ReadableObjects,
  keys: AsyncIterable<Key>,
): AsyncGenerator<Fetched<Key>> {
  let expectedBytes = BYTES_AHEAD / MIN_OBJECTS_AHEAD;
  const room = () =>
    Math.min(MAX_OBJECTS_AHEAD, Math.max(MIN_OBJECTS_AHEAD, Math.floor(BYTES_AHEAD / expectedBytes)));
  return mapAhead(keys, room, async (key) => {
    const body = await objects.get(key.key);
    expectedBytes = Math.max(body?.length ?? 0, expectedBytes * SIZE_DECAY, 1);
    return { ...key, body };
  });
}

/**
 * Gives each record of this pipeline to its user.
 * @param queue QUEUE_NAME: records of other pipelines in the bucket are passed over
 * @returns what is wrong with the object; undefined where every line could be read
 */
export function readRecords(
  { body, status }: Fetched<OutcomeKey>,
  queue: string,
  use: (record: OutcomeRecord) => void,
): string | undefined {
  if (body === undefined) return 'was listed, but is gone';
  if (body.length === 0) return 'is empty';
  let unreadableLines = 0;
  for (const line of linesOf(body)) {
    const record = parseLine(line);
    if (!isOutcomeRecord(record) || record.status !== status) unreadableLines += 1;
    else if (record.queue === queue) use(record);
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
