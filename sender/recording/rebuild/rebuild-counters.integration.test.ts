import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest';
import { type PrivateRedis, startPrivateRedis } from '../../../scripts/servers/private/private-redis.ts';
import { redisKeysOf } from '../../../shared/adapters/redis/keys.ts';
import { announcementKey } from '../../../shared/domain/outcome/outcome-object.ts';
import { CountersLostError } from '../../../shared/errors.ts';
import type { ObjectStore } from '../../../shared/ports/object-store.ts';
import { ManualClock } from '../../../tests/kit/manual-clock.ts';
import { RecordedLog } from '../../../tests/kit/recorded-log.ts';
import {
  announcementLine,
  attemptLine,
  attemptRecord,
  booksByRecords,
  booksOf,
  digest,
  isSignOfLife,
  outcomeLine,
  RecorderWorld,
} from '../../../tests/kit/recorder-world.ts';
import { withoutDuplicates } from '../../../tests/kit/stored-records.ts';
import { RealStores } from '../../../tests/kit/stores/real-stores.ts';
import { rebuildCounters } from './rebuild-counters.ts';

const FAILED = attemptRecord(1, 'failed');

let stores: RealStores;
let world: RecorderWorld;

beforeAll(async () => {
  stores = await new RealStores(inject('servers')).open();
});

afterAll(() => stores.close());

beforeEach(() => {
  world = new RecorderWorld(stores);
});

/** Journal messages of six SMS, one of them a fork that ends in two ways, one that ends in the same way twice. */
function describeJournal(own: RecorderWorld): string[][] {
  const sent = (execution: number) => attemptRecord(2, 'sent', execution);
  return [
    [attemptLine(own, 'a', FAILED), outcomeLine(own, 'b', [attemptRecord(1, 'sent')])],
    [outcomeLine(own, 'a', [FAILED, sent(0)]), outcomeLine(own, 'c', [FAILED, sent(0)])],
    [outcomeLine(own, 'd', []), outcomeLine(own, 'e', [FAILED])],
    [outcomeLine(own, 'c', [FAILED, sent(1)]), outcomeLine(own, 'e', [attemptRecord(1, 'sent', 1)])],
    [announcementLine(own, 6), outcomeLine(own, 'f', [FAILED, attemptRecord(2, 'failed')])],
  ];
}

async function expectRightBooks(own: RecorderWorld): Promise<void> {
  const records = withoutDuplicates(await own.storedRecords());
  const { runs, areValid } = await own.readCounters();
  expect(records.map(({ smsId }) => smsId).sort()).toEqual([...'abcdef']);
  expect(areValid).toBe(true);
  expect(booksOf(runs.get(own.run))).toEqual(booksByRecords(records));
  expect(runs.get(own.run)?.announced).toBe(6);
  expect(own.queue.settledTwiceCount).toBe(0);
}

describe('counters that were lost', () => {
  it('at any moment are made anew from S3 and agree with it at the end', async () => {
    const wrong: string[] = [];
    const round = async (callIndex: number) => {
      const own = await new RecorderWorld(stores).prepare();
      let callCount = 0;
      const recorder = own.start({
        batchSize: 2,
        prefetchCount: 3,
        intercept: async (name, run) => {
          if (!isSignOfLife(name) && callCount++ === callIndex) await stores.forget(own.prefix);
          return run();
        },
      });
      for (const lines of describeJournal(own)) own.publish(...lines);
      await own.untilAcknowledged();
      await expectRightBooks(own).catch((error: unknown) => wrong.push(`${callIndex}: ${String(error)}`));
      return callIndex < recorder.calls.length;
    };
    for (let callIndex = 0; callIndex < 24; callIndex += 4) {
      await Promise.all([0, 1, 2, 3].map((offset) => round(callIndex + offset)));
    }
    expect(wrong).toEqual([]);
  });

  it('are right also where an open object holds one end of a fork and the emptied Redis hears of the other', async () => {
    await world.prepare();
    const recorder = world.start({ batchMs: 60_000 });
    world.publish(outcomeLine(world, 'a', [FAILED, attemptRecord(2, 'sent')]));
    await world.until(() => recorder.calls.includes('record'), 0);
    await stores.forget(world.prefix);
    world.publish(outcomeLine(world, 'a', [attemptRecord(1, 'sent', 1)]));
    await world.untilAcknowledged();
    const stored = await world.storedRecords();
    expect(stored.length).toBe(1);
    expect(booksOf((await world.readCounters()).runs.get(world.run))).toEqual(
      booksByRecords(withoutDuplicates(stored)),
    );
  });

  it('while there is nothing to record are made anew with the next sign of life', async () => {
    world.start();
    await world.until(async () => (await world.readCounters()).areValid);
    for (const lines of describeJournal(world)) world.publish(...lines);
    await world.untilAcknowledged();
    await stores.forget(world.prefix);
    await world.until(async () => (await world.readCounters()).areValid);
    await expectRightBooks(world);
  });

  it('are made by one recorder, while the others wait', async () => {
    world.publish(...describeJournal(world).flat());
    const recorders = [1, 2, 3].map(() => world.start({ prefetchCount: 1 }));
    for (const lines of describeJournal(world)) world.publish(...lines);
    await world.untilAcknowledged();
    const told = recorders.map(({ log }) => log.count('making the counters'));
    expect(told.sort()).toEqual([0, 0, 1]);
    await expectRightBooks(world);
  });

  it('are made by another recorder where the one who makes them dies at any of its steps', async () => {
    await world.prepare();
    world.start({ batchSize: 2 });
    for (const lines of describeJournal(world)) world.publish(...lines);
    await world.untilAcknowledged();
    for (const recorder of world.recorders) await world.kill(recorder);
    const steps = ['beginRebuild', 'rebuildAnnouncement', 'rebuildOutcomes', 'get', 'endRebuild'];
    for (const step of steps.flatMap((name) => [0, 1].map((nth) => ({ name, nth })))) {
      await stores.forget(world.prefix);
      let isReached = false;
      let seen = 0;
      const dying = world.start({
        intercept: async (name, run) => {
          const value = isReached ? undefined : await run();
          if (name === step.name && seen++ === step.nth) isReached = true;
          return isReached ? new Promise(() => {}) : value;
        },
      });
      world.publish(attemptLine(world, 'a', FAILED));
      await world.until(() => isReached || world.queue.unacknowledgedCount === 0);
      await world.kill(dying);
      const next = world.start();
      await world.untilAcknowledged();
      await world.kill(next);
      await expectRightBooks(world);
    }
  });
});

describe('a rebuild', () => {
  const options = (objects: ObjectStore, recorderId: string) => ({
    ...{ counters: stores.counters(world.prefix, recorderId), objects, digest, log: new RecordedLog() },
    ...{ prefixes: world.prefixes, queue: world.prefix, pause: () => sleep(1), clock: new ManualClock() },
    onRead: () => {},
  });

  it('begins from nothing also where the answer to its beginning was lost', async () => {
    const counters = stores.counters(world.prefix, 'one');
    await counters.beginRebuild();
    await counters.endRebuild();
    await counters.record([{ kind: 'attempt', smsId: 'a', run: world.run, attempt: FAILED }]);
    // The lock is ours and nothing has been cleared, as after a connection that died in between.
    await stores.command('SET', `${world.prefix}:generation`, 'of an older process');
    await stores.command('SET', `${world.prefix}:rebuild`, 'one/1', 'PX', 15_000);
    await rebuildCounters(options(world.objects, 'one'));
    expect((await world.readCounters()).areValid).toBe(true);
    expect((await world.readCounters()).runs.size).toBe(0);
  });

  it('is granted on the data of one Redis: on those of another the grant is void', async () => {
    await stores.counters(world.prefix, 'one').beginRebuild();
    const lock = String(await stores.command('GET', `${world.prefix}:rebuild`));
    expect(lock).toMatch(/^one\/1\/[0-9a-f]{40}\/[0-9a-f]{40}$/);
    const other = stores.counters(world.prefix, 'two');
    expect(await other.beginRebuild()).toBe('others');
    await stores.command('SET', `${world.prefix}:rebuild`, `${lock.slice(0, -1)}x`, 'KEEPTTL');
    expect(await other.beginRebuild()).toBe('mine');
  });

  it('that is given back may be begun by another at once', async () => {
    const [one, other] = [stores.counters(world.prefix, 'one'), stores.counters(world.prefix, 'two')];
    expect(await one.beginRebuild()).toBe('mine');
    await one.abandonRebuild();
    expect(await other.beginRebuild()).toBe('mine');
    await one.abandonRebuild();
    await other.prolongRebuild();
    await expect(one.prolongRebuild()).rejects.toThrow(CountersLostError);
  });

  it('is not mixed with what its own recorder stores meanwhile: that waits until the counters are valid', async () => {
    const counters = stores.counters(world.prefix, 'one');
    const outcome = {
      smsId: 'a',
      run: world.run,
      status: 'failed' as const,
      contentDigest: 'd',
      attempts: [FAILED],
    };
    await counters.beginRebuild();
    await expect(counters.restore('20261122T100000000Z-one-000001', [outcome])).rejects.toThrow(
      CountersLostError,
    );
    await counters.endRebuild();
    await counters.restore('20261122T100000000Z-one-000001', [outcome]);
    expect((await world.readCounters()).runs.get(world.run)).toMatchObject({ failed: 1 });
  });

  it('that was frozen clears nothing any more when another has begun one', async () => {
    const [frozen, other] = [stores.counters(world.prefix, 'one'), stores.counters(world.prefix, 'two')];
    const begun = frozen.beginRebuild().catch((error: unknown) => error);
    await stores.command('DEL', `${world.prefix}:rebuild`);
    await other.beginRebuild();
    await stores.command('SET', `${world.prefix}:run:${world.run}`, 'made by the other');
    expect(await begun).toBeInstanceOf(CountersLostError);
    expect(await stores.command('EXISTS', `${world.prefix}:run:${world.run}`)).toBe(1);
  });

  it('forgets what was counted, and neither what was promised nor what is told of now', async () => {
    await world.prepare();
    const keys = redisKeysOf(world.prefix);
    const kept = [keys.request('id:a'), keys.request('key:b'), keys.history, keys.directives];
    const counted = [keys.sms('a'), keys.run('gone')];
    for (const key of [keys.request('id:a'), keys.request('key:b'), keys.sms('a')])
      await stores.command('SET', key, 'x');
    await stores.command('RPUSH', keys.history, 'x');
    await stores.command('ZADD', keys.directives, 1, 'x');
    await stores.command('HSET', keys.run('gone'), 'sent', 1);
    await stores.command('DEL', keys.generation);
    world.start();
    await world.until(async () => (await world.readCounters()).areValid);
    const there = async (key: string) => (await stores.command('EXISTS', key)) === 1;
    expect(await Promise.all(kept.map(there))).toEqual(kept.map(() => true));
    expect(await Promise.all(counted.map(there))).toEqual(counted.map(() => false));
    for (const key of kept) await stores.command('DEL', key);
  });

  it('passes over what other pipelines keep in the bucket', async () => {
    const other = await new RecorderWorld(stores).prepare();
    await world.objects.put(
      `failed/dt=2026-11-22/hour=10/20261122T100000000Z-x-000001.ndjson`,
      Buffer.from(`${outcomeLine(other, 'z', [FAILED])}\n${outcomeLine(world, 'a', [FAILED])}\n`),
    );
    await rebuildCounters(options(world.objects, 'one'));
    expect((await world.readCounters()).runs.get(world.run)).toMatchObject({ met: 1, failed: 1 });
  });
});

describe('the announcements of a rebuild', () => {
  it('are the largest of its own pipeline, also where another one has announced more of a run of that name', async () => {
    const announce = (accepted: number, body: object | string) =>
      world.objects.put(
        announcementKey(world.run, accepted),
        Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)),
      );
    const announcement = (accepted: number, queue: string) => ({
      ...{ run: world.run, queue, accepted, acceptedUpTo: accepted },
      ...{ input: 'generated', at: '2026-11-22T10:00:00.000Z' },
    });
    await announce(5, announcement(5, world.prefix));
    await announce(7, announcement(7, world.prefix));
    await announce(8, '{"run":');
    await announce(900, announcement(900, 'another-pipeline'));
    await rebuildCounters({
      ...{ digest, log: new RecordedLog(), pause: () => sleep(1), clock: new ManualClock() },
      ...{ counters: stores.counters(world.prefix, 'one'), objects: world.objects },
      ...{ prefixes: world.prefixes, queue: world.prefix, onRead: () => {} },
    });
    expect((await world.readCounters()).runs.get(world.run)).toMatchObject({ announced: 7 });
  });
});

describe('a Redis', () => {
  let redis: PrivateRedis | undefined;
  let own: RealStores | undefined;

  afterAll(async () => {
    own?.close();
    await redis?.stop({ signal: 'SIGKILL' });
  });

  it('that comes back on older data: the counters are made anew, and nothing of the old ones stays', async () => {
    const servers = inject('servers');
    const folder = join(servers.folder, 'replaced-redis');
    redis = await startPrivateRedis({ folder, path: process.env.PATH ?? '' });
    own = await new RealStores({ ...servers, redisUrl: redis.url }).open();
    const replaced = await new RecorderWorld(own).prepare();
    replaced.start({ batchSize: 2 });
    const [first = [], second = [], ...rest] = describeJournal(replaced);
    replaced.publish(...first);
    replaced.publish(attemptLine(replaced, 'forgotten-later', FAILED));
    await replaced.untilAcknowledged();
    await redis.stop();
    cpSync(folder, `${folder}-older`, { recursive: true });
    await redis.start();
    replaced.publish(...second);
    await replaced.untilAcknowledged();
    await redis.stop({ signal: 'SIGKILL' });
    rmSync(folder, { recursive: true });
    cpSync(`${folder}-older`, folder, { recursive: true });
    for (const lines of rest) replaced.publish(...lines);
    await redis.start();
    await replaced.untilAcknowledged();
    await expectRightBooks(replaced);
  });

  it('that was demoted, took older data over and was promoted again is noticed by its replication id', async () => {
    const servers = inject('servers');
    const start = (name: string) =>
      startPrivateRedis({ folder: join(servers.folder, name), path: process.env.PATH ?? '' });
    const [master, replica] = [await start('master-redis'), await start('replica-redis')];
    const own = await new RealStores({ ...servers, redisUrl: master.url }).open();
    const others = await new RealStores({ ...servers, redisUrl: replica.url }).open();
    const follow = async (follower: RealStores, leader: PrivateRedis) => {
      await follower.command('REPLICAOF', '127.0.0.1', leader.port);
      const isUp = async () =>
        String(await follower.command('INFO', 'replication')).includes('master_link_status:up');
      while (!(await isUp())) await sleep(20);
      await follower.command('REPLICAOF', 'NO', 'ONE');
    };
    try {
      for (const server of [own, others])
        await server.command('CONFIG', 'SET', 'repl-diskless-sync-delay', 0);
      const demoted = await new RecorderWorld(own).prepare();
      demoted.start({ batchSize: 2 });
      const [first = [], second = [], ...rest] = describeJournal(demoted);
      demoted.publish(...first);
      await demoted.untilAcknowledged();
      await follow(others, master);
      demoted.publish(...second);
      await demoted.untilAcknowledged();
      await follow(own, replica);
      // The first command afterwards may still be of the old mind.
      await demoted.until(async () => !(await demoted.readCounters()).areValid, 0);
      for (const lines of rest) demoted.publish(...lines);
      await demoted.untilAcknowledged();
      await expectRightBooks(demoted);
    } finally {
      own.close();
      others.close();
      for (const server of [master, replica]) await server.stop({ signal: 'SIGKILL' });
    }
  });
});

describe('an SMS that was restored', () => {
  it('is remembered for what is left of KEEP_TIME since it finished, by the clock of Redis', async () => {
    const dayMs = 24 * 3_600_000;
    const counters = stores.counters(world.prefix, 'one', dayMs);
    await counters.beginRebuild();
    const outcome = { run: world.run, status: 'failed' as const, contentDigest: 'd', attempts: [FAILED] };
    const agesMs = { young: 0.25 * dayMs, old: 3 * dayMs };
    await counters.rebuildOutcomes(
      '20261122T100000000Z-one-000001',
      Object.entries(agesMs).map(([smsId, ageMs]) => ({
        ...outcome,
        smsId,
        finishedAtMs: Date.now() - ageMs,
      })),
    );
    const leftMsOf = async (smsId: string) =>
      Number(await stores.command('PTTL', `${world.prefix}:sms:${smsId}`));
    expect(await leftMsOf('young')).toBeGreaterThan(0.75 * dayMs - 10_000);
    expect(await leftMsOf('young')).toBeLessThanOrEqual(0.75 * dayMs);
    expect(await leftMsOf('old')).toBeGreaterThan(3_590_000);
    expect(await leftMsOf('old')).toBeLessThanOrEqual(3_600_000);
  });
});
