/**
 * Which announcement of a run is the newest one of a pipeline. Several pipelines may share a bucket and call their
 * runs alike, and an object may be damaged: then the next smaller one counts.
 */
import { parseAnnouncement, type RunAnnouncement } from './outcome.ts';
import { announcementKey } from './outcome-object.ts';

export interface AnnouncedRun {
  readonly run: string;
  /** The numbers that its objects are named after, in any order. */
  readonly accepted: readonly number[];
  /** QUEUE_NAME of the pipeline that asks. */
  readonly queue: string;
}

/**
 * Reads from the largest number down and no further than needed; undefined where no announcement is this pipeline's.
 * @param onUnreadable is told of each object on the way that is no announcement of this run
 */
export async function findNewestAnnouncement(
  { run, accepted, queue }: AnnouncedRun,
  read: (key: string) => Promise<Buffer | undefined>,
  onUnreadable: (key: string) => void,
): Promise<RunAnnouncement | undefined> {
  for (const number of accepted.toSorted((left, right) => right - left)) {
    const key = announcementKey(run, number);
    const announcement = parseAnnouncement(await read(key));
    if (announcement === undefined || announcement.run !== run || announcement.accepted !== number) {
      onUnreadable(key);
    } else if (announcement.queue === queue) return announcement;
  }
  return undefined;
}
