/**
 * Reads outcomes from the newest object back, hour by hour, as far as its caller allows. It is for people who look: what
 * came last is found first, and the search ends where it would take too long, and says how far it came.
 */

import type { OutcomeRecord, OutcomeStatus } from '../../domain/outcome/outcome.ts';
import {
  linesOf,
  type OutcomePrefixes,
  objectIdOfKey,
  openedAtOf,
  outcomeObjectId,
  parseOutcomeLine,
} from '../../domain/outcome/outcome-object.ts';
import type { Clock } from '../../ports/clock.ts';
import { isBucketMissing, type ReadableObjects } from './patient-objects.ts';

/** Where a record stands: the same for ever, because an object is never written again. */
export interface RecordPosition {
  readonly objectId: string;
  /** From 0. */
  readonly line: number;
}

export interface FoundRecord {
  readonly record: OutcomeRecord;
  readonly key: string;
  readonly position: RecordPosition;
}

export interface SearchScope {
  readonly statuses: readonly OutcomeStatus[];
  /** The newest and the oldest moment at which an object may have been opened, milliseconds since the epoch. */
  readonly newestMs: number;
  readonly oldestMs: number;
  /** Only what stands before this, in the order of the search: what the page before ended with. */
  readonly after?: RecordPosition | undefined;
}

/** Each search gets on, however small its budget is: it reads an object, or comes to an hour that it did not begin with. */
export interface SearchBudget {
  readonly maxObjects: number;
  readonly maxMs: number;
}

const HOUR_MS = 3_600_000;
/** A recorder whose clock is ahead opens objects in the future. */
const MAX_CLOCK_LEAD_MS = HOUR_MS;
/** A day with fewer keys is listed at once, one with more hour by hour. */
const MAX_KEYS_OF_DAY = 1_000;

interface Key {
  readonly key: string;
  readonly objectId: string;
  readonly status: OutcomeStatus;
}

export class NewestOutcomes {
  readonly #objects: ReadableObjects;
  readonly #prefixes: OutcomePrefixes;
  readonly #queue: string;
  readonly #clock: Clock;
  readonly #budget: SearchBudget;
  readonly #days = new Map<string, Promise<readonly Key[] | undefined>>();
  /** All objects that were opened since then have been read; undefined while none was. */
  searchedBackToMs: number | undefined;
  /** True once the search has come to the oldest moment of its scope. */
  isWhole = false;
  /** How far was read, also where nothing was given out: a later search goes on after it. Undefined where nothing was read. */
  last: RecordPosition | undefined;

  /** For one search. @param queue QUEUE_NAME: what other pipelines keep in the bucket is passed over */
  constructor(
    objects: ReadableObjects,
    prefixes: OutcomePrefixes,
    queue: string,
    clock: Clock,
    budget: SearchBudget,
  ) {
    this.#objects = objects;
    this.#prefixes = prefixes;
    this.#queue = queue;
    this.#clock = clock;
    this.#budget = budget;
  }

  /** Records from the newest on. @throws what the store throws */
  async *search(scope: SearchScope): AsyncGenerator<FoundRecord> {
    const giveUpAtMs = this.#clock.nowMs() + this.#budget.maxMs;
    let objectCount = 0;
    let hourCount = 0;
    const isOver = () =>
      objectCount === this.#budget.maxObjects ||
      (this.#clock.nowMs() >= giveUpAtMs && (objectCount > 0 || hourCount > 1));
    const firstMs = Math.min(
      scope.newestMs,
      this.#clock.nowMs() + MAX_CLOCK_LEAD_MS,
      openedAtOf(scope.after?.objectId ?? '') ?? Number.POSITIVE_INFINITY,
    );
    for (let hourMs = hourOf(firstMs); hourMs + HOUR_MS > scope.oldestMs; hourMs -= HOUR_MS) {
      for (const key of await this.#keysOfHour(hourMs, scope)) {
        if (scope.after !== undefined && key.objectId > scope.after.objectId) continue;
        if (isOver()) return;
        yield* this.#recordsOf(key, scope.after);
        objectCount += 1;
        this.last = { objectId: key.objectId, line: 0 };
        this.searchedBackToMs = openedAtOf(key.objectId);
      }
      this.searchedBackToMs = Math.max(hourMs, scope.oldestMs);
      if (hourMs > scope.oldestMs) this.last = { objectId: outcomeObjectId(hourMs, '0', 0), line: 0 };
      hourCount += 1;
      if (isOver() && hourMs > scope.oldestMs) return;
    }
    this.isWhole = true;
  }

  async *#recordsOf(
    { key, objectId, status }: Key,
    after: RecordPosition | undefined,
  ): AsyncGenerator<FoundRecord> {
    const lines = [...linesOf((await this.#objects.get(key)) ?? Buffer.alloc(0))];
    for (let line = lines.length - 1; line >= 0; line -= 1) {
      if (after?.objectId === objectId && line >= after.line) continue;
      const record = parseOutcomeLine(lines[line] ?? '');
      if (record?.status === status && record.queue === this.#queue)
        yield { record, key, position: { objectId, line } };
    }
  }

  /** The keys of an hour, the newest first. */
  async #keysOfHour(hourMs: number, { statuses, newestMs, oldestMs }: SearchScope): Promise<Key[]> {
    const lists = await Promise.all(statuses.map((status) => this.#list(hourMs, status)));
    return lists
      .flat()
      .filter(({ objectId }) => {
        const openedAtMs = openedAtOf(objectId) ?? 0;
        return openedAtMs <= newestMs && openedAtMs >= oldestMs;
      })
      .sort((left, right) => (left.objectId < right.objectId ? 1 : -1));
  }

  async #list(hourMs: number, status: OutcomeStatus): Promise<readonly Key[]> {
    const { day, hour } = prefixesOf(this.#prefixes[status], hourMs);
    const ofDay = this.#days.get(day) ?? this.#listPrefix(day, status, MAX_KEYS_OF_DAY);
    this.#days.set(day, ofDay);
    const keys = (await ofDay) ?? (await this.#listPrefix(hour, status)) ?? [];
    return keys.filter(({ key }) => key.startsWith(hour));
  }

  /** Undefined where there are more than that many. */
  async #listPrefix(prefix: string, status: OutcomeStatus, maxKeys = Infinity): Promise<Key[] | undefined> {
    const keys: Key[] = [];
    try {
      for await (const key of this.#objects.list(prefix)) {
        const objectId = objectIdOfKey(key);
        if (keys.length === maxKeys) return undefined;
        if (objectId !== undefined) keys.push({ key, objectId, status });
      }
    } catch (error) {
      if (!isBucketMissing(error)) throw error;
    }
    return keys;
  }
}

/** The record of an SMS in the object that was opened then; undefined where it is not there. @throws what the store throws */
export async function findInObject(
  objects: ReadableObjects,
  keyStart: string,
  isWanted: (record: OutcomeRecord) => boolean,
): Promise<FoundRecord | undefined> {
  try {
    return await findBelow(objects, keyStart, isWanted);
  } catch (error) {
    // It is made with the first object.
    if (isBucketMissing(error)) return undefined;
    throw error;
  }
}

async function findBelow(
  objects: ReadableObjects,
  keyStart: string,
  isWanted: (record: OutcomeRecord) => boolean,
): Promise<FoundRecord | undefined> {
  for await (const key of objects.list(keyStart)) {
    const objectId = objectIdOfKey(key);
    if (objectId === undefined) continue;
    let line = 0;
    for (const text of linesOf((await objects.get(key)) ?? Buffer.alloc(0))) {
      const record = parseOutcomeLine(text);
      if (record !== undefined && isWanted(record)) return { record, key, position: { objectId, line } };
      line += 1;
    }
  }
  return undefined;
}

function hourOf(timeMs: number): number {
  return Math.floor(timeMs / HOUR_MS) * HOUR_MS;
}

function prefixesOf(prefix: string, hourMs: number): { readonly day: string; readonly hour: string } {
  const [date = '', time = ''] = new Date(hourMs).toISOString().split('T');
  const day = `${prefix}/dt=${date}/`;
  return { day, hour: `${day}hour=${time.slice(0, 2)}/` };
}
