import type { OutcomePrefixes } from '../shared/domain/outcome-object.ts';
import type { Digest } from '../shared/domain/parking.ts';
import { readAnnouncements } from '../shared/pipeline/archive/announcements.ts';
import { readOutcomeObjects } from '../shared/pipeline/archive/outcome-objects.ts';
import {
  isBucketMissing,
  PatientObjects,
  type ReadableObjects,
} from '../shared/pipeline/archive/patient-objects.ts';
import type { Clock, CounterStore, Logger, ObjectStore } from '../shared/ports.ts';
import type { Pause } from './publish-until-confirmed.ts';
import { OutcomeSorter } from './rebuild/outcome-sorter.ts';
import { ArchiveAwayError, RebuildGrant } from './rebuild/rebuild-grant.ts';
import { RunSums } from './rebuild/run-sums.ts';

export interface RebuildOptions {
  readonly counters: CounterStore;
  readonly objects: ObjectStore;
  readonly prefixes: OutcomePrefixes;
  /** QUEUE_NAME: records of other pipelines in the bucket are passed over. */
  readonly queue: string;
  readonly clock: Clock;
  readonly digest: Digest;
  readonly pause: Pause;
  readonly log: Logger;
  /** Told when S3 was read, and with the error when it could not be. */
  readonly onRead: (error: unknown) => void;
}

// Who could not read gives way for longer than a recorder that waits needs to look again.
const GIVE_WAY_MS = 15_000;

/**
 * Makes the counters from what S3 holds, one recorder at a time; a fresh Redis beside a fresh bucket is the
 * smallest case. Resolves when the counters are valid, by us or by another. Interrupted anywhere, it is begun
 * again from the start. A recorder that cannot read S3 gives the rebuild back, and tries again after a while.
 */
export async function rebuildCounters(options: RebuildOptions): Promise<void> {
  const { counters, pause, log } = options;
  for (;;) {
    const state = await counters.beginRebuild();
    if (state === 'done') return;
    if (state === 'others') {
      await pause(3);
      continue;
    }
    try {
      await rebuild(options);
      return options.onRead(undefined);
    } catch (error) {
      if (!(error instanceof ArchiveAwayError)) throw error;
      log.warn({ err: error.cause }, `${error.message}: the counters are left to another recorder`);
      options.onRead(error.cause);
      await giveWay(options);
    }
  }
}

async function rebuild(options: RebuildOptions): Promise<void> {
  const { counters, objects, log } = options;
  const grant = new RebuildGrant(options);
  const archive = new PatientObjects(objects, (call) => grant.read(call));
  try {
    log.info({}, 'making the counters from the outcomes in S3');
    const announcementCount = await restoreAnnouncements(options, archive);
    const sums = await restoreOutcomes(options, archive);
    await counters.endRebuild();
    log.info({ ...sums, announcementCount }, 'the counters are those of the outcomes in S3');
  } catch (error) {
    // At once: another recorder need not wait until what was granted to us runs out.
    await counters.abandonRebuild().catch(() => {});
    throw error;
  } finally {
    grant.end(undefined);
  }
}

/** In the order of object ids: of raw duplicates the smallest object wins, here as for every reader. */
async function restoreOutcomes(options: RebuildOptions, archive: ReadableObjects) {
  const { counters, prefixes, queue, digest, clock } = options;
  const sums = new RunSums();
  const { keepTimeMs } = counters;
  const sorter = new OutcomeSorter({ queue, digest, keepTimeMs, nowMs: clock.nowMs() }, sums);
  let objectCount = 0;
  let keptCount = 0;
  const outcomes = readOutcomeObjects(archive, prefixes, () => {});
  for await (const object of unlessBucketIsMissing(outcomes)) {
    const kept = sorter.sort(object);
    if (kept.length > 0) await counters.rebuildOutcomes(object.objectId, kept);
    if (sums.isFull) await counters.rebuildSums(sums.take());
    objectCount += 1;
    keptCount += kept.length;
  }
  await counters.rebuildSums(sums.take());
  return { objectCount, recordCount: keptCount + sums.addedCount, keptCount };
}

async function restoreAnnouncements(options: RebuildOptions, archive: ReadableObjects): Promise<number> {
  let announcementCount = 0;
  // The audit names what cannot be read.
  for await (const newest of unlessBucketIsMissing(readAnnouncements(archive, options.queue, () => {}))) {
    await options.counters.rebuildAnnouncement(newest);
    announcementCount += 1;
  }
  return announcementCount;
}

/** A bucket that is missing holds nothing: it is made at the first put. */
async function* unlessBucketIsMissing<Value>(values: AsyncIterable<Value>): AsyncGenerator<Value> {
  try {
    yield* values;
  } catch (error) {
    if (!isBucketMissing(error)) throw error;
  }
}

async function giveWay({ clock, pause }: RebuildOptions): Promise<void> {
  const untilMs = clock.nowMs() + GIVE_WAY_MS;
  while (clock.nowMs() < untilMs) await pause(3);
}
