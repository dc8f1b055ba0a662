import { parseAnnouncement, type RunAnnouncement } from '../../domain/outcome/outcome.ts';
import { announcementKey, parseAnnouncementKey, RUNS_PREFIX } from '../../domain/outcome/outcome-object.ts';
import type { ReadableObjects } from './patient-objects.ts';
import { mapAhead, readAhead } from './read-ahead.ts';

/** Told of each object that cannot be believed. */
type OnUnreadable = (key: string, reason: string) => void;

const RUNS_AHEAD = 16;
/** A run may be announced once a second for days. Its newest numbers are enough. */
const MAX_NUMBERS_HELD = 1_000;

interface AnnouncedNumbers {
  readonly run: string;
  /** Ascending, the largest ones of the run. */
  readonly accepted: number[];
}

/**
 * The newest announcement of each run of this pipeline, by run. The keys of a run come together, the one with the
 * largest number last. Only that one is fetched, and those before it while it is damaged or another pipeline's:
 * several pipelines may share a bucket and call their runs alike.
 */
export async function* readAnnouncements(
  objects: ReadableObjects,
  queue: string,
  onUnreadable: OnUnreadable,
): AsyncGenerator<RunAnnouncement> {
  const newest = mapAhead(
    announcedNumbers(objects, onUnreadable),
    () => RUNS_AHEAD,
    (announced) => readNewest(objects, queue, announced, onUnreadable),
  );
  for await (const announcement of newest) if (announcement !== undefined) yield announcement;
}

async function* announcedNumbers(
  objects: ReadableObjects,
  onUnreadable: OnUnreadable,
): AsyncGenerator<AnnouncedNumbers> {
  let current: AnnouncedNumbers | undefined;
  for await (const key of readAhead(objects.list(`${RUNS_PREFIX}/`))) {
    const announced = parseAnnouncementKey(key);
    if (announced === undefined) {
      onUnreadable(key, 'is not an object of Redial');
      continue;
    }
    if (current?.run !== announced.run) {
      if (current !== undefined) yield current;
      current = { run: announced.run, accepted: [] };
    }
    hold(current.accepted, announced.accepted);
  }
  if (current !== undefined) yield current;
}

/**
 * Reads from the largest number down, no further than needed. Where all numbers held are another pipeline's, the keys
 * of the run are listed again for smaller ones.
 */
async function readNewest(
  objects: ReadableObjects,
  queue: string,
  { run, accepted }: AnnouncedNumbers,
  onUnreadable: OnUnreadable,
): Promise<RunAnnouncement | undefined> {
  for (let held = accepted; held.length > 0; held = await numbersBelow(objects, run, held[0] ?? 0)) {
    for (const number of held.toReversed()) {
      const key = announcementKey(run, number);
      const announcement = parseAnnouncement(await objects.get(key));
      if (announcement?.run !== run || announcement.accepted !== number)
        onUnreadable(key, 'is not the announcement of a run');
      else if (announcement.queue === queue) return announcement;
    }
    if (held.length < MAX_NUMBERS_HELD) return undefined;
  }
  return undefined;
}

async function numbersBelow(objects: ReadableObjects, run: string, limit: number): Promise<number[]> {
  const held: number[] = [];
  for await (const key of objects.list(`${RUNS_PREFIX}/${run}/`)) {
    const accepted = parseAnnouncementKey(key)?.accepted;
    if (accepted === undefined) continue;
    if (accepted >= limit) break;
    hold(held, accepted);
  }
  return held;
}

function hold(numbers: number[], next: number): void {
  if (numbers.length === MAX_NUMBERS_HELD) numbers.shift();
  numbers.push(next);
}
