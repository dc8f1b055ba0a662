/** Pages of outcomes, the newest first. A cursor is a place in the archive, so new outcomes move no page. */

import type { OutcomeRecord, OutcomeStatus } from '../../domain/outcome/outcome.ts';
import { type OutcomePrefixes, openedAtOf } from '../../domain/outcome/outcome-object.ts';
import type { Clock } from '../../ports/clock.ts';
import { NewestOutcomes, type RecordPosition, type SearchBudget } from '../archive/newest-outcomes.ts';
import type { ReadableObjects } from '../archive/patient-objects.ts';
import { type Story, storyOfRecord } from './story.ts';

export interface ListOptions {
  readonly queue: string;
  readonly prefixes: OutcomePrefixes;
  readonly budget: SearchBudget;
  /** How far back is looked where nobody says since when. */
  readonly lookBackMs: number;
}

export interface ListQuery {
  readonly statuses: readonly OutcomeStatus[];
  readonly limit: number;
  readonly after?: RecordPosition | undefined;
  readonly run?: string | undefined;
  readonly to?: string | undefined;
  readonly reason?: string | undefined;
  /** When the object of an outcome was opened: a second before its record was written at most. */
  readonly sinceMs?: number | undefined;
  readonly untilMs?: number | undefined;
}

export interface ListPage {
  readonly stories: readonly Story[];
  /** Undefined where nothing follows within the time that was asked for. */
  readonly cursor: string | undefined;
  /** Undefined where all that was asked for was looked at. */
  readonly searchedBackToMs: number | undefined;
}

const OBJECT_ID_IN_CURSOR = /^([0-9TZ]{19,20}-[a-z0-9]+-\d{6,})\.(\d{1,9})$/;

export class OutcomeList {
  readonly #options: ListOptions;
  readonly #objects: ReadableObjects;
  readonly #clock: Clock;

  constructor(options: ListOptions, objects: ReadableObjects, clock: Clock) {
    this.#options = options;
    this.#objects = objects;
    this.#clock = clock;
  }

  /** @throws what the store throws */
  async read(query: ListQuery): Promise<ListPage> {
    const { prefixes, queue, budget, lookBackMs } = this.#options;
    const search = new NewestOutcomes(this.#objects, prefixes, queue, this.#clock, budget);
    const newestMs = query.untilMs ?? this.#clock.nowMs();
    const oldestMs = query.sinceMs ?? newestMs - lookBackMs;
    const stories: Story[] = [];
    // A crash may leave a second record of an SMS. The one in the older object counts, and a page may begin between them.
    const positions = new Map<string, number>();
    let last: RecordPosition | undefined;
    for await (const found of search.search({
      statuses: query.statuses,
      newestMs,
      oldestMs,
      after: query.after,
    })) {
      if (!isAskedFor(found.record, query)) continue;
      const story = storyOfRecord(found);
      const known = positions.get(story.id);
      if (known !== undefined) stories[known] = story;
      else if (stories.length === query.limit)
        return { stories, cursor: cursorOf(last), searchedBackToMs: undefined };
      else positions.set(story.id, stories.push(story) - 1);
      last = found.position;
    }
    if (search.isWhole) return { stories, cursor: undefined, searchedBackToMs: oldestMs };
    return { stories, cursor: cursorOf(search.last), searchedBackToMs: search.searchedBackToMs };
  }
}

function isAskedFor(record: OutcomeRecord, { run, to, reason }: ListQuery): boolean {
  return (
    (run === undefined || record.run === run) &&
    (to === undefined || record.to === to) &&
    (reason === undefined || record.reason === reason)
  );
}

function cursorOf(position: RecordPosition | undefined): string | undefined {
  if (position === undefined) return undefined;
  return Buffer.from(`${position.objectId}.${position.line}`).toString('base64url');
}

/** Undefined for a text that no page gave. */
export function decodeCursor(text: string): RecordPosition | undefined {
  const [, objectId, line] = OBJECT_ID_IN_CURSOR.exec(Buffer.from(text, 'base64url').toString()) ?? [];
  if (objectId === undefined || openedAtOf(objectId) === undefined) return undefined;
  return { objectId, line: Number(line) };
}
