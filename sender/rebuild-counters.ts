import { findNewestAnnouncement } from '../shared/domain/newest-announcement.ts';
import {
  type OutcomePrefixes,
  objectIdOfKey,
  parseAnnouncementKey,
  parseOutcomeObject,
  RUNS_PREFIX,
} from '../shared/domain/outcome-object.ts';
import type { Digest } from '../shared/domain/parking.ts';
import { RedialError } from '../shared/errors.ts';
import type { CounterStore, Logger, ObjectStore } from '../shared/ports.ts';
import type { Pause } from './publish-until-confirmed.ts';
import { summarise } from './summarise-outcome.ts';

export interface RebuildOptions {
  readonly counters: CounterStore;
  readonly objects: ObjectStore;
  readonly prefixes: OutcomePrefixes;
  /** QUEUE_NAME: records of other pipelines in the bucket are passed over. */
  readonly queue: string;
  readonly digest: Digest;
  readonly pause: Pause;
  readonly log: Logger;
  /** Repeats a call to S3 until it succeeds. */
  readonly readStored: <Value>(call: () => Promise<Value>) => Promise<Value>;
}

const KEYS_PER_SIGN_OF_LIFE = 1_000;
// Read one by one, a thousand small objects took half a minute of waiting for S3. An object has some 2 MB at most.
const OBJECTS_AHEAD = 8;

/**
 * Makes the counters from what S3 holds, one recorder at a time; a fresh Redis beside a fresh bucket is the
 * smallest case. Resolves when the counters are valid, by us or by another. Interrupted anywhere, it is begun
 * again from the start: every call may be repeated.
 */
export async function rebuildCounters(options: RebuildOptions): Promise<void> {
  const { counters, pause, log } = options;
  for (;;) {
    const state = await counters.beginRebuild();
    if (state === 'done') return;
    if (state === 'mine') break;
    await pause(3);
  }
  log.info({}, 'making the counters from the outcomes in S3');
  const announcementCount = await restoreAnnouncements(options);
  const recordCount = await restoreOutcomes(options);
  await counters.endRebuild();
  log.info({ recordCount, announcementCount }, 'the counters are those of the outcomes in S3');
}

/** In the order of object ids: of raw duplicates the smallest object wins, here as for every reader. */
async function restoreOutcomes(options: RebuildOptions): Promise<number> {
  const { counters, objects, prefixes, queue, digest, readStored } = options;
  const found: { readonly key: string; readonly objectId: string }[] = [];
  for (const prefix of Object.values(prefixes)) {
    for (const key of await listKeys(options, `${prefix}/`)) {
      const objectId = objectIdOfKey(key);
      if (objectId !== undefined) found.push({ key, objectId });
    }
  }
  found.sort((left, right) => (left.objectId < right.objectId ? -1 : 1));
  let recordCount = 0;
  const readAhead: Promise<Buffer | undefined>[] = [];
  for (const [index, { objectId }] of found.entries()) {
    for (const { key } of found.slice(index + readAhead.length, index + OBJECTS_AHEAD)) {
      const body = readStored(() => objects.get(key));
      // Where the rebuild breaks off, nobody waits for those ahead.
      body.catch(() => {});
      readAhead.push(body);
    }
    const { records } = parseOutcomeObject((await readAhead.shift()) ?? Buffer.alloc(0));
    const summaries = records
      .filter((record) => record.queue === queue)
      .map((record) => summarise(record, digest));
    await counters.rebuildOutcomes(objectId, summaries);
    recordCount += summaries.length;
  }
  return recordCount;
}

async function restoreAnnouncements(options: RebuildOptions): Promise<number> {
  const { counters, objects, queue, readStored } = options;
  const acceptedByRun = new Map<string, number[]>();
  for (const key of await listKeys(options, `${RUNS_PREFIX}/`)) {
    const parsed = parseAnnouncementKey(key);
    if (parsed === undefined) continue;
    const accepted = acceptedByRun.get(parsed.run);
    if (accepted === undefined) acceptedByRun.set(parsed.run, [parsed.accepted]);
    else accepted.push(parsed.accepted);
  }
  let announcementCount = 0;
  for (const [run, accepted] of acceptedByRun) {
    const newest = await findNewestAnnouncement(
      { run, accepted, queue },
      (key) => readStored(() => objects.get(key)),
      // The audit names what cannot be read.
      () => {},
    );
    if (newest === undefined) continue;
    await counters.rebuildAnnouncement(newest);
    announcementCount += 1;
  }
  return announcementCount;
}

/** A bucket that is missing holds nothing: it is made at the first put. */
function listKeys({ counters, objects, readStored }: RebuildOptions, prefix: string): Promise<string[]> {
  return readStored(async () => {
    const keys: string[] = [];
    try {
      for await (const key of objects.list(prefix)) {
        // A long list must not look as if we were gone; where another rebuilds already, the next call says so.
        if (keys.push(key) % KEYS_PER_SIGN_OF_LIFE === 0)
          await counters.rebuildOutcomes('', []).catch(() => {});
      }
    } catch (error) {
      if (!(error instanceof RedialError) || error.code !== 'NO_BUCKET') throw error;
    }
    return keys;
  });
}
