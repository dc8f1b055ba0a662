import { findNewestAnnouncement } from '../../domain/newest-announcement.ts';
import type { RunAnnouncement } from '../../domain/outcome.ts';
import { parseAnnouncementKey, RUNS_PREFIX } from '../../domain/outcome-object.ts';
import { KEYS_PER_PAGE, type OnUnreadable } from './outcome-objects.ts';
import type { ReadableObjects } from './patient-objects.ts';
import { mapAhead, readAhead } from './read-ahead.ts';

const RUNS_AHEAD = 16;
/** Of a run that was announced once a second for days, the newest numbers are enough. */
const MAX_NUMBERS_HELD = 1_000;

interface AnnouncedNumbers {
  readonly run: string;
  /** Ascending, the largest ones of the run. */
  readonly accepted: number[];
}

/**
 * The newest announcement of each run of this pipeline, by run. Keys come in order, so those of a run come together
 * and the newest one last; only that one is fetched, and those before it while it is another pipeline's or damaged.
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
  for await (const key of readAhead(objects.list(`${RUNS_PREFIX}/`), KEYS_PER_PAGE)) {
    const announced = parseAnnouncementKey(key);
    if (announced === undefined) {
      onUnreadable(key, 'is not an object of Redial');
      continue;
    }
    if (current !== undefined && current.run !== announced.run) yield current;
    if (current?.run !== announced.run) current = { run: announced.run, accepted: [] };
    hold(current.accepted, announced.accepted);
  }
  if (current !== undefined) yield current;
}

/** Where the largest numbers are all another pipeline's, the keys of the run are listed again for smaller ones. */
async function readNewest(
  objects: ReadableObjects,
  queue: string,
  { run, accepted }: AnnouncedNumbers,
  onUnreadable: OnUnreadable,
): Promise<RunAnnouncement | undefined> {
  for (let held = accepted; held.length > 0; held = await numbersBelow(objects, run, held[0] ?? 0)) {
    const newest = await findNewestAnnouncement(
      { run, accepted: held, queue },
      (key) => objects.get(key),
      (key) => onUnreadable(key, 'is not the announcement of a run'),
    );
    if (newest !== undefined || held.length < MAX_NUMBERS_HELD) return newest;
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
