import type { RunAnnouncement } from '../shared/domain/outcome.ts';
import type { OutcomePrefixes } from '../shared/domain/outcome-object.ts';
import { readAnnouncements } from '../shared/pipeline/archive/announcements.ts';
import { readOutcomeObjects, readRecords } from '../shared/pipeline/archive/outcome-objects.ts';
import { isBucketMissing, type ReadableObjects } from '../shared/pipeline/archive/patient-objects.ts';
import type { StoreReading } from './books.ts';
import { StoredOutcomes } from './stored-outcomes.ts';
import { UnreadableObjects } from './unreadable-objects.ts';

/**
 * Everything S3 holds of a pipeline, by run.
 * @param watchedIds as StoredOutcomes has them
 * @throws what the store throws: a store that cannot be read is not one without outcomes
 */
export async function readStore(
  objects: ReadableObjects,
  prefixes: OutcomePrefixes,
  queue: string,
  keepTimeMs: number,
  watchedIds: readonly string[] = [],
): Promise<StoreReading> {
  const unreadable = new UnreadableObjects();
  const outcomes = new StoredOutcomes(keepTimeMs, watchedIds);
  const onUnreadable = (key: string, reason: string) => unreadable.add(key, reason);
  try {
    // Announcements first: what they count was accepted before the outcomes were read.
    const announcements = new Map<string, RunAnnouncement>();
    for await (const announcement of readAnnouncements(objects, queue, onUnreadable))
      announcements.set(announcement.run, announcement);
    for await (const object of readOutcomeObjects(objects, prefixes, onUnreadable)) {
      const problem = readRecords(object, queue, (record) => outcomes.add(record));
      if (problem !== undefined) onUnreadable(object.key, problem);
    }
    return { outcomes, announcements, unreadable, isBucketMissing: false };
  } catch (error) {
    if (!isBucketMissing(error)) throw error;
    return { outcomes, announcements: new Map(), unreadable, isBucketMissing: true };
  }
}
