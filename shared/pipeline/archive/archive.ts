/**
 * The one reader of what S3 holds of a pipeline, for the audit, the rebuild of the counters, `monitor --parked` and
 * `npm run reset`. Objects with outcomes come in the order of their ids, over all prefixes together, so the result does
 * not depend on timing: of an SMS with two records the one in the smallest object id comes first. What to do with the
 * second record is the caller's choice.
 *
 * Memory is bounded whatever S3 holds: keys are merged page by page while they are listed, and at most 32 objects
 * (some 16 MB) are fetched ahead.
 */
import {
  OUTCOME_STATUSES,
  type OutcomeRecord,
  type OutcomeStatus,
  type RunAnnouncement,
} from '../../domain/outcome/outcome.ts';
import {
  isProbeObjectId,
  linesOf,
  type OutcomePrefixes,
  objectIdOfKey,
  openedAtOf,
  outcomeObjectKey,
  parseOutcomeLine,
  RUNS_PREFIX,
} from '../../domain/outcome/outcome-object.ts';
import { readAnnouncements } from './announcements.ts';
import { isBucketMissing, type ReadableObjects } from './patient-objects.ts';
import { mapAhead, readAhead } from './read-ahead.ts';

/** An object with outcomes. */
export interface ArchivedObject {
  readonly objectId: string;
  /** Its records of this pipeline, read line by line; to be read once. */
  readonly records: Iterable<OutcomeRecord>;
}

/** Objects that hold something that cannot be believed. */
export interface UnreadableObjects {
  readonly count: number;
  /** The first 1,000 of them. */
  readonly keys: readonly string[];
  /** What is wrong with the first one; empty where there is none. */
  readonly firstReason: string;
}

interface OutcomeKey {
  readonly key: string;
  readonly objectId: string;
  readonly status: OutcomeStatus;
}

/** A body is undefined where the object was listed and is gone. */
type Fetched<Key> = Key & { readonly body: Buffer | undefined };

const MAX_UNREADABLE_NAMED = 1_000;
const MAX_OBJECTS_AHEAD = 32;
const MIN_OBJECTS_AHEAD = 2;
const BYTES_AHEAD = 16 * 1024 * 1024;
// How fast one large object is forgotten when small ones follow.
const SIZE_DECAY = 0.9;

/** All its methods throw what the store throws: a store that cannot be read is not one without outcomes. */
export class Archive {
  readonly #objects: ReadableObjects;
  readonly #prefixes: OutcomePrefixes;
  readonly #queue: string;
  readonly #unreadable = { count: 0, keys: [] as string[], firstReason: '' };
  #isBucketMissing = false;

  /** @param queue QUEUE_NAME: what other pipelines keep in the bucket is passed over */
  constructor(objects: ReadableObjects, prefixes: OutcomePrefixes, queue: string) {
    this.#objects = objects;
    this.#prefixes = prefixes;
    this.#queue = queue;
  }

  /** What of all that was read so far cannot be believed. */
  get unreadable(): UnreadableObjects {
    return this.#unreadable;
  }

  /** True once a reading has found no bucket. Such a bucket holds nothing: it is made at the first put. */
  get isBucketMissing(): boolean {
    return this.#isBucketMissing;
  }

  /**
   * @param statuses only objects with outcomes of these
   * @param openedSinceMs only objects that were opened then or later, milliseconds since the epoch
   */
  async *outcomes(
    statuses: readonly OutcomeStatus[] = OUTCOME_STATUSES,
    openedSinceMs = Number.NEGATIVE_INFINITY,
  ): AsyncGenerator<ArchivedObject> {
    const lists = statuses.map((status) => readAhead(this.#listOutcomes(status, openedSinceMs)));
    for await (const object of this.#unlessBucketIsMissing(this.#fetchAhead(mergeByObjectId(lists))))
      yield { objectId: object.objectId, records: this.#readRecords(object) };
  }

  /** The newest announcement of each run, by run. */
  announcements(): AsyncGenerator<RunAnnouncement> {
    const onUnreadable = (key: string, reason: string) => this.#note(key, reason);
    return this.#unlessBucketIsMissing(readAnnouncements(this.#objects, this.#queue, onUnreadable));
  }

  /**
   * The keys of all objects whose first line names this pipeline, one prefix after the other, and of those by which
   * recorders of any pipeline tried S3: they name none, and nobody misses them.
   */
  async *keys(): AsyncGenerator<string> {
    for (const prefix of [...Object.values(this.#prefixes), RUNS_PREFIX]) {
      const objects = this.#fetchAhead(readAhead(this.#list(prefix)));
      for await (const { key, body } of this.#unlessBucketIsMissing(objects))
        if (isOfQueue(body, this.#queue) || isProbe(objectIdOfKey(key), body)) yield key;
    }
  }

  async *#list(prefix: string): AsyncGenerator<{ readonly key: string }> {
    for await (const key of this.#objects.list(`${prefix}/`)) yield { key };
  }

  // Within a prefix, key order is the order of object ids, because date and hour come from the id.
  async *#listOutcomes(status: OutcomeStatus, openedSinceMs: number): AsyncGenerator<OutcomeKey> {
    const prefix = this.#prefixes[status];
    for await (const { key } of this.#list(prefix)) {
      const objectId = objectIdOfKey(key);
      if (objectId !== undefined && outcomeObjectKey(prefix, objectId) === key) {
        if ((openedAtOf(objectId) ?? 0) >= openedSinceMs) yield { key, objectId, status };
      } else this.#note(key, 'is not an object of Redial');
    }
  }

  /** The objects in the order of their keys. As many are fetched ahead as their sizes allow: few at first. */
  #fetchAhead<Key extends { readonly key: string }>(keys: AsyncIterable<Key>): AsyncGenerator<Fetched<Key>> {
    let expectedBytes = BYTES_AHEAD / MIN_OBJECTS_AHEAD;
    const room = () =>
      Math.min(MAX_OBJECTS_AHEAD, Math.max(MIN_OBJECTS_AHEAD, Math.floor(BYTES_AHEAD / expectedBytes)));
    return mapAhead(keys, room, async (key) => {
      const body = await this.#objects.get(key.key);
      expectedBytes = Math.max(body?.length ?? 0, expectedBytes * SIZE_DECAY, 1);
      return { ...key, body };
    });
  }

  *#readRecords({ key, objectId, status, body }: Fetched<OutcomeKey>): Generator<OutcomeRecord> {
    if (body === undefined) return this.#note(key, 'was listed, but is gone');
    if (isProbe(objectId, body)) return;
    if (body.length === 0) return this.#note(key, 'is empty');
    let unreadableLines = 0;
    for (const line of linesOf(body)) {
      const record = parseOutcomeLine(line);
      if (record?.status !== status) unreadableLines += 1;
      else if (record.queue === this.#queue) yield record;
    }
    if (unreadableLines > 0) this.#note(key, `has ${unreadableLines} lines that cannot be read`);
  }

  #note(key: string, reason: string): void {
    const unreadable = this.#unreadable;
    if (unreadable.count === 0) unreadable.firstReason = reason;
    if (unreadable.count < MAX_UNREADABLE_NAMED) unreadable.keys.push(key);
    unreadable.count += 1;
  }

  async *#unlessBucketIsMissing<Value>(values: AsyncIterable<Value>): AsyncGenerator<Value> {
    try {
      yield* values;
    } catch (error) {
      if (!isBucketMissing(error)) throw error;
      this.#isBucketMissing = true;
    }
  }
}

async function* mergeByObjectId(lists: readonly AsyncGenerator<OutcomeKey>[]): AsyncGenerator<OutcomeKey> {
  try {
    const begun = await Promise.all(lists.map(async (list) => ({ list, next: await list.next() })));
    const heads = begun.flatMap(({ list, next }) => (next.done === true ? [] : [{ list, key: next.value }]));
    while (heads.length > 0) {
      const first = heads.reduce((left, right) => (right.key.objectId < left.key.objectId ? right : left));
      yield first.key;
      const next = await first.list.next();
      if (next.done === true) heads.splice(heads.indexOf(first), 1);
      else first.key = next.value;
    }
  } finally {
    for (const list of lists) list.return(undefined).catch(() => {});
  }
}

/** An empty object that shows that S3 took something. */
function isProbe(objectId: string | undefined, body: Buffer | undefined): boolean {
  return body?.length === 0 && objectId !== undefined && isProbeObjectId(objectId);
}

/** Whether the first line of an object names this queue; false for what is none of ours. */
function isOfQueue(body: Buffer | undefined, queue: string): boolean {
  const [line = ''] = body === undefined ? [] : linesOf(body);
  try {
    return (JSON.parse(line) as { queue?: unknown } | null)?.queue === queue;
  } catch {
    return false;
  }
}
