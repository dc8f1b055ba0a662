/** What becomes of the counters of a run: open, summed, forgotten. Redis has no clock to be moved: runs are made older instead. */
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { RealStores } from '../../../tests/kit/stores/real-stores.ts';
import type { AttemptRecord } from '../../domain/outcome/attempt.ts';
import { outcomeObjectId } from '../../domain/outcome/outcome-object.ts';
import type { CounterReading, RunCounters } from '../../ports/counter-reader.ts';
import type { CounterEntry, StoredOutcome } from '../../ports/counter-store.ts';
import type { RedisCounterStore } from './counter-store.ts';
import { redisKeysOf } from './keys.ts';

const KEEP_TIME_MS = 4 * 3_600_000;
const OBJECT = outcomeObjectId(Date.UTC(2026, 10, 22), 'a', 1);
const RUN_COUNT = 10_000;
const MAX_READING_MS = 50;
const MAX_READING_MEGABYTES = 20;

let stores: RealStores;
let prefixCount = 0;

beforeAll(async () => {
  stores = await new RealStores(inject('servers')).open();
});
afterAll(() => stores.close());

/** The counters of a pipeline of its own. */
class Pipeline {
  readonly prefix = `runs-${process.pid}-${Date.now().toString(36)}-${prefixCount++}`;
  readonly keys = redisKeysOf(this.prefix);
  readonly counters: RedisCounterStore = stores.counters(this.prefix, 'a', KEEP_TIME_MS);

  async begin(): Promise<this> {
    await this.counters.beginRebuild();
    await this.counters.endRebuild();
    await this.counters.tidy();
    return this;
  }

  async announce(run: string, accepted: number, input = 'generated'): Promise<void> {
    const announcement = { run, queue: this.prefix, accepted, acceptedUpTo: accepted, input, at: '' };
    await this.counters.record([{ kind: 'accepted', announcement }]);
  }

  /** SMS of a run get their outcome; each failed once before, so that every kind of number counts. */
  async send(run: string, ...ids: string[]): Promise<void> {
    await this.counters.record(ids.map((id) => outcomeOf(run, id)));
    expect(await this.counters.settle(OBJECT, ids)).toEqual([]);
  }

  async age(seconds: number): Promise<void> {
    await stores.command('HINCRBY', this.keys.total, 'since', -seconds);
    for (const key of [this.keys.changedRuns, this.keys.summedRuns]) {
      const runs = (await stores.command('ZRANGE', key, 0, -1)) as string[];
      await Promise.all(runs.map((run) => stores.command('ZINCRBY', key, -seconds, run)));
    }
  }

  async tidyAfter(seconds: number): Promise<void> {
    await this.age(seconds);
    await this.counters.tidy();
  }

  read(run?: string): Promise<CounterReading> {
    return stores.readCounters(this.prefix, run);
  }

  async hasHash(run: string): Promise<boolean> {
    return (await stores.command('EXISTS', this.keys.run(run))) === 1;
  }

  /** What the monitor adds up. */
  async sums(): Promise<Record<string, unknown>> {
    const { runs, done } = await this.read();
    return sumsOf([...runs.values(), done.counters]);
  }
}

function attemptOf(attempt: number, result: 'sent' | 'failed'): AttemptRecord {
  const late = attempt === 1 ? {} : { lateMs: 40 };
  return { attempt, startedAt: `2026-11-22T10:00:0${attempt}.000Z`, ...late, tookMs: 100 * attempt, result };
}

function outcomeOf(run: string, smsId: string): CounterEntry & { kind: 'outcome' } {
  const attempts = [attemptOf(1, 'failed'), attemptOf(2, 'sent')];
  return {
    kind: 'outcome',
    outcome: { smsId, run, status: 'sent', contentDigest: 'd', attempts },
    objectId: OBJECT,
  };
}

function sumsOf(runs: readonly RunCounters[]): Record<string, unknown> {
  const sum = (numberOf: (run: RunCounters) => number) =>
    runs.reduce((total, run) => total + numberOf(run), 0);
  const buckets = (mapOf: (run: RunCounters) => ReadonlyMap<number, number>) => {
    const numbers = [...new Set(runs.flatMap((run) => [...mapOf(run).keys()]))].sort(
      (left, right) => left - right,
    );
    return numbers.map((number) => [number, sum((run) => mapOf(run).get(number) ?? 0)]);
  };
  return {
    accepted: sum(({ announced, met, sent, failed, parked, known }) =>
      Math.max(announced, met, sent + failed + parked + known),
    ),
    ...{ met: sum((run) => run.met), sent: sum((run) => run.sent), attempts: sum((run) => run.attempts) },
    ...{ failedAttempts: sum((run) => run.attemptsFailed), processingMs: sum((run) => run.processingMsSum) },
    ...{ repeatedSends: sum((run) => run.repeatedSends), idConflicts: sum((run) => run.idConflicts) },
    byNumber: buckets((run) => run.attemptsByNumber),
    processing: buckets((run) => run.processingBuckets),
    lateness: buckets((run) => run.latenessBuckets),
    maxLatenessMs: Math.max(...runs.map(({ maxLatenessMs }) => maxLatenessMs ?? 0)),
  };
}

describe('a run all of whose SMS have their outcome', () => {
  test('is summed after a minute and forgotten after KEEP_TIME, and the sums stay what they were', async () => {
    const pipeline = await new Pipeline().begin();
    await pipeline.announce('demo', 2);
    await pipeline.send('demo', 'demo-1', 'demo-2');
    await pipeline.send('other', 'other-1');
    const sums = await pipeline.sums();
    expect(sums).toMatchObject({ accepted: 3, met: 3, sent: 3, attempts: 6, maxLatenessMs: 40 });

    await pipeline.tidyAfter(50);
    expect([...(await pipeline.read()).runs.keys()].sort()).toEqual(['demo', 'other']);
    await pipeline.tidyAfter(11);
    expect((await pipeline.read()).runs.size).toBe(0);
    expect(await pipeline.sums()).toEqual(sums);
    // Asked for by name, and to be resumed, it is still there.
    expect((await pipeline.read('demo')).runs.get('demo')).toMatchObject({ announced: 2, sent: 2 });

    await pipeline.tidyAfter(KEEP_TIME_MS / 1_000 - 65);
    expect(await pipeline.hasHash('demo')).toBe(true);
    await pipeline.tidyAfter(10);
    expect([await pipeline.hasHash('demo'), await pipeline.hasHash('other')]).toEqual([false, false]);
    expect((await pipeline.read('demo')).runs.size).toBe(0);
    expect(await pipeline.sums()).toEqual(sums);
    expect((await pipeline.read()).done.forgottenCount).toBe(2);
  });

  test('and gets another SMS is counted once, summed or not', async () => {
    const pipeline = await new Pipeline().begin();
    await pipeline.send('demo', 'demo-1');
    await pipeline.send('other', 'other-1');
    const once = await pipeline.sums();
    await pipeline.tidyAfter(61);
    await pipeline.send('demo', 'demo-2');
    expect([...(await pipeline.read()).runs]).toMatchObject([['demo', { met: 2, sent: 2, attempts: 4 }]]);
    const twice = await pipeline.sums();
    expect(twice).toMatchObject({
      accepted: 3,
      sent: 3,
      attempts: 6,
      byNumber: [
        [1, 3],
        [2, 3],
      ],
    });
    await pipeline.tidyAfter(61);
    expect((await pipeline.read()).runs.size).toBe(0);
    expect(await pipeline.sums()).toEqual(twice);
    expect(once).not.toEqual(twice);
  });

  test('and begins again once it was forgotten is a new run', async () => {
    const pipeline = await new Pipeline().begin();
    await pipeline.announce('demo', 2, 'file:a');
    await pipeline.send('demo', 'demo-1', 'demo-2');
    await pipeline.tidyAfter(KEEP_TIME_MS / 1_000 + 2);
    await pipeline.announce('demo', 1, 'file:b');
    expect((await pipeline.read()).runs.get('demo')).toMatchObject({
      ...{ announced: 1, acceptedUpTo: 1, input: 'file:b', hasInputConflict: false, met: 0 },
    });
    expect(await pipeline.sums()).toMatchObject({ accepted: 3, sent: 2 });
  });

  test('and was announced with two inputs is named until it is forgotten', async () => {
    const pipeline = await new Pipeline().begin();
    for (const input of ['file:a', 'file:b']) await pipeline.announce('demo', 1, input);
    await pipeline.send('demo', 'demo-1');
    await pipeline.tidyAfter(61);
    expect((await pipeline.read()).done.withInputConflict).toEqual(['demo']);
    await pipeline.send('demo', 'demo-2');
    expect((await pipeline.read()).done.withInputConflict).toEqual([]);
    await pipeline.tidyAfter(KEEP_TIME_MS / 1_000 + 2);
    expect((await pipeline.read()).done.withInputConflict).toEqual([]);
  });
});

test('a run is not moved right after all senders were away: what waits in the journal is told first', async () => {
  const pipeline = await new Pipeline().begin();
  await pipeline.announce('demo', 1);
  await pipeline.send('demo', 'demo-1');
  await stores.command('ZINCRBY', pipeline.keys.tidying, -20, 'a');
  await pipeline.tidyAfter(KEEP_TIME_MS / 1_000 + 2);
  expect((await pipeline.read()).runs.has('demo')).toBe(true);
  // A journal message that its recorder had counted and not acknowledged.
  await pipeline.announce('demo', 1);
  await pipeline.tidyAfter(KEEP_TIME_MS / 1_000 + 2);
  expect(await pipeline.sums()).toMatchObject({ accepted: 1, sent: 1 });
  expect((await pipeline.read()).done.forgottenCount).toBe(1);
});

test('a run with an SMS in progress is never summed, however long nothing changes, and is once it is done', async () => {
  const pipeline = await new Pipeline().begin();
  await pipeline.announce('announced', 2);
  await pipeline.send('announced', 'announced-1');
  await pipeline.counters.record([
    { kind: 'attempt', smsId: 'met-1', run: 'met', attempt: attemptOf(1, 'failed') },
  ]);
  await pipeline.counters.record([outcomeOf('claimed', 'claimed-1')]);
  for (let looks = 0; looks < 3; looks += 1) await pipeline.tidyAfter(10 * KEEP_TIME_MS);
  expect([...(await pipeline.read()).runs.keys()].sort()).toEqual(['announced', 'claimed', 'met']);
  await pipeline.send('announced', 'announced-2');
  await pipeline.tidyAfter(61);
  expect([...(await pipeline.read()).runs.keys()].sort()).toEqual(['claimed', 'met']);
});

describe('runs of an older version', () => {
  /** What an older version does where it counts an SMS that has its outcome. */
  async function countAsOlder({ keys }: Pipeline, run: string): Promise<void> {
    await stores.command('SADD', keys.runs, run);
    for (const field of ['met', 'sent']) await stores.command('HINCRBY', keys.run(run), field, 1);
  }

  test('begin to be still when they are first seen', async () => {
    const pipeline = await new Pipeline().begin();
    await countAsOlder(pipeline, 'old');
    await pipeline.counters.tidy();
    await pipeline.tidyAfter(50);
    expect((await pipeline.read()).runs.has('old')).toBe(true);
    await pipeline.tidyAfter(11);
    expect((await pipeline.read()).runs.has('old')).toBe(false);
    expect(await pipeline.sums()).toMatchObject({ accepted: 1, sent: 1 });
  });

  test('are not moved while a sender of that version lives, which would count them twice', async () => {
    const pipeline = await new Pipeline().begin();
    await pipeline.send('demo', 'demo-1');
    await stores.counters(pipeline.prefix, 'older').signalLife(true);
    await pipeline.tidyAfter(61);
    expect((await pipeline.read()).runs.has('demo')).toBe(true);
    await stores.command('ZINCRBY', pipeline.keys.alive, -16, 'older');
    await pipeline.counters.tidy();
    expect((await pipeline.read()).runs.has('demo')).toBe(false);
  });

  test.each(['looks for runs to move', 'counts in that run'])(
    'that it changed when they were summed make the counters be made again once a sender %s',
    async (what) => {
      const pipeline = await new Pipeline().begin();
      await pipeline.send('demo', 'demo-1');
      await pipeline.tidyAfter(61);
      await countAsOlder(pipeline, 'demo');
      if (what === 'counts in that run') await pipeline.announce('demo', 2);
      await expect(pipeline.counters.tidy()).rejects.toMatchObject({ code: 'COUNTERS_LOST' });
      expect((await pipeline.read()).areValid).toBe(false);
    },
  );
});

describe('runs of a rebuild', () => {
  test('are forgotten as if they had been counted then, and not KEEP_TIME after the rebuild', async () => {
    const pipeline = await new Pipeline().begin();
    await stores.command('DEL', pipeline.keys.generation);
    const { counters } = pipeline;
    await counters.beginRebuild();
    const at = '2026-10-01T00:00:00.000Z';
    for (const run of ['old', 'recent', 'begun'])
      await counters.rebuildAnnouncement({
        run,
        queue: '',
        accepted: 1,
        acceptedUpTo: 1,
        input: 'generated',
        at,
      });
    const stored = (run: string, ageMs: number): StoredOutcome => ({
      ...outcomeOf(run, `${run}-1`).outcome,
      finishedAtMs: Date.now() - ageMs,
    });
    await counters.rebuildOutcomes(OBJECT, [stored('recent', KEEP_TIME_MS / 2)]);
    const none = {
      ...{ attempts: 0, attemptsFailed: 0, attemptsUnknown: 0, processingMsSum: 0 },
      ...{ failedByReason: new Map(), maxLatenessMs: undefined },
    };
    const noBuckets = {
      attemptsByNumber: new Map(),
      processingBuckets: new Map(),
      latenessBuckets: new Map(),
    };
    await counters.rebuildSums([
      { run: 'old', met: 1, sent: 0, failed: 1, parked: 0, known: 0, ...none, ...noBuckets },
    ]);
    await counters.endRebuild();
    await counters.tidy();
    await pipeline.tidyAfter(61);

    const { runs, done } = await pipeline.read();
    expect([[...runs.keys()], done.counters.announced]).toEqual([['begun'], 2]);
    const exist = await Promise.all(['old', 'recent', 'begun'].map((run) => pipeline.hasHash(run)));
    expect(exist).toEqual([false, true, true]);
    expect((await pipeline.read('begun')).runs.get('begun')?.announcedAtSeconds).toBe(Date.parse(at) / 1_000);
    await pipeline.tidyAfter(KEEP_TIME_MS / 1_000 + 2);
    expect(await pipeline.hasHash('recent')).toBe(false);
  });
});

test('settings that are recorded after their sender left leave an hour later, those that nobody knows at once', async () => {
  const pipeline = await new Pipeline().begin();
  const settings = {
    ...{ meanProcessingSeconds: 1, processingTimeDistribution: 'constant' as const, failureRate: 0 },
    ...{ permanentFailureShare: 0, retrySchedule: '1s', concurrency: 1, seed: 1 },
  };
  const { counters, keys } = pipeline;
  await counters.record(['a', 'gone'].map((sender) => ({ kind: 'sender', sender, settings })));
  await stores.command('HSET', keys.senders, 'nobody', '{}');
  await counters.tidy();
  expect(new Set((await stores.command('HKEYS', keys.senders)) as string[])).toEqual(new Set(['a', 'gone']));
  expect((await pipeline.read()).livingSenders).toBe(1);
  await stores.command('ZINCRBY', keys.alive, -3_600, 'gone');
  await counters.signalLife(true);
  expect(await stores.command('HKEYS', keys.senders)).toEqual(['a']);
  await counters.leave();
  expect(await stores.command('HKEYS', keys.senders)).toEqual([]);
});

test('how often a sender was throttled is kept when it is gone, and not told twice when it comes back', async () => {
  const pipeline = await new Pipeline().begin();
  const { counters, keys } = pipeline;
  const left = `${keys.throttled}:left`;
  const tidyLater = async () => {
    for (const sender of (await stores.command('ZRANGE', left, 0, -1)) as string[])
      await stores.command('ZINCRBY', left, -KEEP_TIME_MS / 1_000 - 1, sender);
    await counters.tidy();
    return [(await pipeline.read()).throttled, await stores.command('HGET', keys.throttled, 'gone')];
  };
  await stores.command('HSET', keys.throttled, 'a', 7, 'frozen', 5, 'dead', 3);
  await counters.signalLife(true);
  await counters.tidy();
  const second = Math.floor(Date.now() / 1_000);
  for (const key of [keys.alive, keys.tidying]) await stores.command('ZADD', key, second, 'frozen');
  await counters.tidy();
  expect(await tidyLater()).toEqual([15, '3']);
  expect(await tidyLater()).toEqual([15, '3']);
  expect(new Set((await stores.command('HKEYS', keys.throttled)) as string[])).toEqual(
    new Set(['a', 'frozen', 'gone']),
  );
});

test('a rebuild of the counters keeps the pause of the gateway and how often senders were throttled', async () => {
  const { counters, keys, ...pipeline } = await new Pipeline().begin();
  const untilMs = Date.now() + 60_000;
  await stores.command('SET', keys.pause, untilMs, 'PX', 60_000);
  await stores.command('HSET', keys.throttled, 'a', 7);
  await stores.command('DEL', keys.generation);
  await counters.beginRebuild();
  await counters.endRebuild();
  const { throttled, pausedUntilMs } = await stores.readCounters(pipeline.prefix);
  expect({ throttled, pausedUntilMs }).toEqual({ throttled: 7, pausedUntilMs: untilMs });
});

test('a run that moves while all is read is told once', async () => {
  const pipeline = await new Pipeline().begin();
  for (let run = 0; run < 50; run += 1) await pipeline.send(`run-${run}`, `run-${run}-1`);
  const sums = await pipeline.sums();
  let isOver = false;
  const moving = (async () => {
    while (!isOver) {
      await pipeline.tidyAfter(61);
      for (let run = 0; run < 50; run += 7) await pipeline.announce(`run-${run}`, 1);
    }
  })();
  for (let readings = 0; readings < 200; readings += 1) expect(await pipeline.sums()).toEqual(sums);
  isOver = true;
  await moving;
});

test(`${RUN_COUNT} runs that are done cost a reading less than ${MAX_READING_MS} ms and ${MAX_READING_MEGABYTES} MB`, async () => {
  const pipeline = await new Pipeline().begin();
  for (let first = 0; first < RUN_COUNT; first += 500) {
    const ids = Array.from({ length: 500 }, (_, index) => `run-${first + index}`);
    await pipeline.counters.record(ids.map((id) => outcomeOf(id, id)));
    await pipeline.counters.settle(OBJECT, ids);
  }
  await pipeline.age(61);
  // Of what was counted in the last ten seconds, each run is told.
  for (const key of (await stores.command('KEYS', `${pipeline.prefix}:recent:*`)) as string[])
    await stores.command('DEL', key);
  const tidiedFromMs = performance.now();
  await pipeline.counters.tidy();
  const tidyMs = performance.now() - tidiedFromMs;
  const residentBefore = process.memoryUsage().rss;
  const tookMs: number[] = [];
  for (let readings = 0; readings < 20; readings += 1) {
    const fromMs = performance.now();
    expect((await pipeline.read()).done.counters.announced).toBe(RUN_COUNT);
    tookMs.push(performance.now() - fromMs);
  }
  const megabytes = (process.memoryUsage().rss - residentBefore) / 1e6;
  const medianMs = tookMs.sort((left, right) => left - right)[10] ?? 0;
  console.log(
    `${RUN_COUNT} done runs: a reading takes ${medianMs.toFixed(1)} ms and ${megabytes.toFixed(1)} MB; moving them on took ` +
      `${tidyMs.toFixed(0)} ms`,
  );
  expect(medianMs).toBeLessThan(MAX_READING_MS);
  expect(megabytes).toBeLessThan(MAX_READING_MEGABYTES);
});
