import { findNewestAnnouncement } from '../shared/domain/newest-announcement.ts';
import type { RunAnnouncement } from '../shared/domain/outcome.ts';
import { parseAnnouncementKey, RUNS_PREFIX } from '../shared/domain/outcome-object.ts';
import type { ReadableObjects } from './patient-objects.ts';
import type { UnreadableObjects } from './unreadable-objects.ts';

/**
 * The newest announcement of each run of this pipeline. Keys come in order, so those of a run come together and
 * the newest one last; only that one is fetched, and those before it while it is another pipeline's or damaged.
 */
export async function readAnnouncements(
  objects: ReadableObjects,
  queue: string,
  unreadable: UnreadableObjects,
): Promise<Map<string, RunAnnouncement>> {
  const announcements = new Map<string, RunAnnouncement>();
  for await (const { run, accepted } of announcedNumbers(objects, unreadable)) {
    const newest = await findNewestAnnouncement(
      { run, accepted, queue },
      (key) => objects.get(key),
      (key) => unreadable.add(key, 'is not the announcement of a run'),
    );
    if (newest !== undefined) announcements.set(run, newest);
  }
  return announcements;
}

interface AnnouncedNumbers {
  readonly run: string;
  /** Ascending. */
  readonly accepted: number[];
}

async function* announcedNumbers(
  objects: ReadableObjects,
  unreadable: UnreadableObjects,
): AsyncGenerator<AnnouncedNumbers> {
  let current: AnnouncedNumbers | undefined;
  for await (const key of objects.list(`${RUNS_PREFIX}/`)) {
    const announced = parseAnnouncementKey(key);
    if (announced === undefined) {
      unreadable.add(key, 'is not an object of Redial');
      continue;
    }
    if (current !== undefined && current.run !== announced.run) yield current;
    if (current?.run !== announced.run) current = { run: announced.run, accepted: [] };
    current.accepted.push(announced.accepted);
  }
  if (current !== undefined) yield current;
}
