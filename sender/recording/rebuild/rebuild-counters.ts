import type { OutcomePrefixes } from '../../../shared/domain/outcome/outcome-object.ts';
import type { Digest } from '../../../shared/domain/sms/parking.ts';
import { Archive } from '../../../shared/pipeline/archive/archive.ts';
import { PatientObjects } from '../../../shared/pipeline/archive/patient-objects.ts';
import type { Pause } from '../../../shared/pipeline/publish-until-confirmed.ts';
import type { Clock } from '../../../shared/ports/clock.ts';
import type { CounterStore } from '../../../shared/ports/counter-store.ts';
import type { Logger } from '../../../shared/ports/logger.ts';
import type { ObjectStore } from '../../../shared/ports/object-store.ts';
import { OutcomeSorter } from './outcome-sorter.ts';
import { ArchiveAwayError, RebuildGrant } from './rebuild-grant.ts';
import { RunSums } from './run-sums.ts';

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

// Longer than a recorder that waits for its turn takes to ask again.
const GIVE_WAY_MS = 15_000;

/**
 * Makes the counters from what S3 holds, one recorder at a time. The smallest case is a fresh Redis beside a fresh
 * bucket. Resolves when the counters are valid, made by this recorder or by another one. A rebuild that was interrupted
 * begins again from the start. A recorder that cannot read S3 gives the rebuild back, and tries again after a while.
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
  const { counters, objects, prefixes, queue, log } = options;
  const grant = new RebuildGrant(options);
  // What cannot be read is named by the audit.
  const archive = new Archive(new PatientObjects(objects, (call) => grant.read(call)), prefixes, queue);
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
async function restoreOutcomes({ counters, digest, clock }: RebuildOptions, archive: Archive) {
  const sums = new RunSums();
  const sorter = new OutcomeSorter(sums, digest, counters.keepTimeMs, clock.nowMs());
  let objectCount = 0;
  let keptCount = 0;
  for await (const object of archive.outcomes()) {
    const kept = sorter.sort(object);
    if (kept.length > 0) await counters.rebuildOutcomes(object.objectId, kept);
    if (sums.isFull) await counters.rebuildSums(sums.take());
    objectCount += 1;
    keptCount += kept.length;
  }
  await counters.rebuildSums(sums.take());
  return { objectCount, recordCount: keptCount + sums.addedCount, keptCount };
}

async function restoreAnnouncements({ counters }: RebuildOptions, archive: Archive): Promise<number> {
  let announcementCount = 0;
  for await (const newest of archive.announcements()) {
    await counters.rebuildAnnouncement(newest);
    announcementCount += 1;
  }
  return announcementCount;
}

async function giveWay({ clock, pause }: RebuildOptions): Promise<void> {
  const untilMs = clock.nowMs() + GIVE_WAY_MS;
  while (clock.nowMs() < untilMs) await pause(3);
}
