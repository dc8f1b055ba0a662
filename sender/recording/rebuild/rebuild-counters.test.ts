import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { OutcomeRecord, OutcomeStatus } from '../../../shared/domain/outcome/outcome.ts';
import { outcomeObjectId, outcomeObjectKey } from '../../../shared/domain/outcome/outcome-object.ts';
import { ServerUnavailableError } from '../../../shared/errors.ts';
import type { ObjectStore } from '../../../shared/ports/object-store.ts';
import { Dice } from '../../../shared/rehearsal/dice.ts';
import { MemoryCounters } from '../../../shared/rehearsal/memory-counters.ts';
import { letRun, ManualClock } from '../../../tests/kit/manual-clock.ts';
import { RecordedLog } from '../../../tests/kit/recorded-log.ts';
import { MemoryObjectStore } from '../../../tests/kit/stores/memory-object-store.ts';
import { rebuildCounters } from './rebuild-counters.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const KEEP_TIME_MS = 12 * HOUR_MS;
/** What finished before is summed. */
const LIMIT_MS = KEEP_TIME_MS + DAY_MS;
const PREFIXES = { sent: 'success', failed: 'failed', parked: 'parked', known: 'known' };

const digest = (...parts: readonly (string | Buffer)[]): string =>
  createHash('sha256').update(parts.join('')).digest('hex').slice(0, 16);

/** A bucket, a Redis and recorders that make its counters. */
class History {
  readonly clock = new ManualClock(Date.UTC(2026, 10, 22, 10, 0, 0));
  readonly nowMs = this.clock.nowMs();
  readonly objects = new MemoryObjectStore();
  readonly counters = new MemoryCounters(() => this.clock.nowMs(), KEEP_TIME_MS);
  readonly log = new RecordedLog();
  #objectCount = 0;

  /** An object of its own for each, opened when the SMS finished unless told otherwise. */
  async store(smsId: string, ageMs: number, changes: Partial<StoredChanges> = {}): Promise<void> {
    const {
      status = 'sent',
      run = 'demo',
      openedAgeMs = ageMs,
      startedAgeMs = ageMs,
      text = 'hello',
    } = changes;
    this.#objectCount += 1;
    const objectId = outcomeObjectId(this.nowMs - openedAgeMs, 'one', this.#objectCount);
    const at = (age: number) => new Date(this.nowMs - age).toISOString();
    const attempt = { attempt: 1, startedAt: at(startedAgeMs), tookMs: 40, result: 'sent' as const };
    const record: OutcomeRecord = {
      ...{ smsId, run, queue: 'sms', to: '+15550100001', text, status },
      ...{ acceptedAt: at(startedAgeMs), finishedAt: at(ageMs), attempts: [attempt] },
    };
    await this.objects.put(
      outcomeObjectKey(PREFIXES[status], objectId),
      Buffer.from(`${JSON.stringify(record)}\n`),
    );
  }

  options(recorderId: string, objects: ObjectStore = this.objects) {
    const { clock, log } = this;
    return {
      ...{ counters: this.counters.store(recorderId), objects, prefixes: PREFIXES, queue: 'sms', digest },
      ...{ clock, log },
      pause: () => new Promise<void>((resolve) => void clock.after(500, resolve)),
      onRead: () => {},
    };
  }

  rebuild(): Promise<void> {
    return rebuildCounters(this.options('one'));
  }

  /** Lets time pass until a promise is settled; how much it was. */
  async passUntil(promise: Promise<unknown>, limitMs = 300_000): Promise<number> {
    let isSettled = false;
    const settle = () => {
      isSettled = true;
    };
    promise.then(settle, settle);
    let passedMs = 0;
    for (await letRun(); !isSettled && passedMs < limitMs; passedMs += 500) await this.clock.advance(500);
    return passedMs;
  }

  countsOf(run = 'demo') {
    const hash = this.counters.runs.get(run);
    return { met: Number(hash?.get('met') ?? 0), attempts: Number(hash?.get('attempts') ?? 0) };
  }

  /** For how long Redis remembers an SMS; undefined where it has no key. */
  remembersMs(smsId: string): number | undefined {
    const forgottenAtMs = this.counters.sms.get(smsId)?.forgottenAtMs;
    return forgottenAtMs === undefined ? undefined : forgottenAtMs - this.nowMs;
  }
}

interface StoredChanges {
  readonly status: OutcomeStatus;
  readonly run: string;
  readonly openedAgeMs: number;
  readonly startedAgeMs: number;
  readonly text: string;
}

describe('after a rebuild, Redis remembers an SMS', () => {
  it.each([
    ['that finished a moment ago for KEEP_TIME', 0, KEEP_TIME_MS],
    ['that finished long ago for what is left of KEEP_TIME', 8 * HOUR_MS, 4 * HOUR_MS],
    [
      'whose KEEP_TIME is nearly over for an hour: its journal message may be on its way',
      11.9 * HOUR_MS,
      HOUR_MS,
    ],
    ['that finished in the future no longer than KEEP_TIME', -DAY_MS, KEEP_TIME_MS],
    ['that finished long ago and was stored now, when S3 was back, for an hour', 90 * DAY_MS, HOUR_MS],
  ])('%s', async (name, ageMs, expectedMs) => {
    const history = new History();
    await history.store('a', ageMs, name.includes('stored now') ? { openedAgeMs: 0 } : {});
    await history.rebuild();
    expect(history.countsOf()).toEqual({ met: 1, attempts: 1 });
    expect(history.remembersMs('a')).toBe(expectedMs);
  });

  it('of a year ago not at all, and counts it all the same', async () => {
    const history = new History();
    for (let index = 0; index < 50; index += 1)
      await history.store(`old-${index}`, 365 * DAY_MS + index * 60_000);
    await history.store('failed', 300 * DAY_MS, { status: 'failed', run: 'other' });
    await history.rebuild();
    expect(history.counters.sms.size).toBe(0);
    expect(history.countsOf()).toEqual({ met: 50, attempts: 50 });
    expect(Object.fromEntries(history.counters.runs.get('other') ?? [])).toMatchObject({
      ...{ met: 1, failed: 1, attempts: 1, 'attempt:1': 1, processingMs: 40, 'processing:36': 1 },
    });
  });
});

describe('of two records of one id', () => {
  it.each([
    ['a minute apart, long ago', 100 * DAY_MS, 100 * DAY_MS - 60_000, 1],
    ['a minute apart on both sides of what is summed', LIMIT_MS + 30_000, LIMIT_MS - 30_000, 1],
    ['a minute apart, just now', 90_000, 30_000, 1],
    ['KEEP_TIME apart, long ago', 100 * DAY_MS, 100 * DAY_MS - KEEP_TIME_MS, 1],
    ['more than KEEP_TIME apart, long ago', 100 * DAY_MS, 100 * DAY_MS - KEEP_TIME_MS - 1, 2],
    ['more than KEEP_TIME apart on both sides', LIMIT_MS + HOUR_MS, LIMIT_MS - KEEP_TIME_MS, 2],
    ['more than KEEP_TIME apart, both remembered', LIMIT_MS - HOUR_MS, HOUR_MS, 2],
    ['a day apart, the younger one long ago', 30 * DAY_MS, 29 * DAY_MS, 2],
  ])('%s: counted as it is one SMS or two', async (_, firstAgeMs, secondAgeMs, smsCount) => {
    const history = new History();
    await history.store('a', firstAgeMs);
    await history.store('a', secondAgeMs, { run: 'later' });
    await history.rebuild();
    expect(history.countsOf().met + history.countsOf('later').met).toBe(smsCount);
    expect(history.countsOf().met).toBe(1);
  });

  it('the one in the smaller object counts, also where it finished later and the other one is summed', async () => {
    const history = new History();
    await history.store('a', LIMIT_MS - 30_000, { openedAgeMs: LIMIT_MS + 60_000 });
    await history.store('a', LIMIT_MS + 30_000, { run: 'later' });
    await history.rebuild();
    expect([history.countsOf().met, history.countsOf('later').met]).toEqual([1, 0]);
  });
});

it('the counters of any history are those of its SMS, each counted once', async () => {
  const seed = Number(process.env.HISTORY_SEED ?? Date.now() % 1_000_000);
  for (let round = 0; round < 60; round += 1) {
    const dice = new Dice(seed + round);
    const history = new History();
    const lastFinishMs = new Map<string, number>();
    let smsCount = 0;
    // From the oldest to the newest, as object ids go; what is told again comes within KEEP_TIME or well after it.
    for (let ageMs = 6 * LIMIT_MS; ageMs > 0; ageMs -= dice.between(1, 10) * HOUR_MS) {
      const id = `sms-${dice.below(6)}`;
      const finishMs = history.nowMs - ageMs;
      const lastMs = lastFinishMs.get(id);
      await history.store(id, ageMs);
      if (lastMs !== undefined && finishMs - lastMs <= KEEP_TIME_MS) continue;
      lastFinishMs.set(id, finishMs);
      smsCount += 1;
    }
    await history.rebuild();
    expect(history.countsOf().met, `HISTORY_SEED=${seed + round} repeats it`).toBe(smsCount);
  }
});

describe('a recorder that rebuilds', () => {
  it('keeps the rebuild while S3 takes twenty seconds for a page and for an object', async () => {
    const history = new History();
    await history.store('a', 0);
    const wait = () => new Promise<void>((resolve) => void history.clock.after(20_000, resolve));
    const slow: ObjectStore = {
      put: (key, body) => history.objects.put(key, body),
      get: (key) => wait().then(() => history.objects.get(key)),
      async *list(prefix) {
        await wait();
        yield* history.objects.list(prefix);
      },
    };
    const slowOne = rebuildCounters(history.options('one', slow));
    const other = rebuildCounters(history.options('two'));
    expect(await history.passUntil(slowOne)).toBeGreaterThan(50_000);
    await history.passUntil(other);
    await slowOne;
    expect(history.log.count('making the counters')).toBe(1);
    expect(history.counters.areValid).toBe(true);
  });

  it.each([
    ['refuses to list', 'list', 403],
    ['refuses an object', 'get', 403],
    ['does not answer', 'list', 503],
  ] as const)('leaves the rebuild to another within seconds where S3 %s', async (_, kind, status) => {
    const history = new History();
    await history.store('a', 0);
    let isSick = true;
    const fail = () => Promise.reject(new ServerUnavailableError(`${status}`, { isRefusal: status === 403 }));
    const sick: ObjectStore = {
      put: (key, body) => history.objects.put(key, body),
      get: (key) => (kind === 'get' && isSick ? fail() : history.objects.get(key)),
      async *list(prefix) {
        if (kind === 'list' && isSick) await fail();
        yield* history.objects.list(prefix);
      },
    };
    const sickOne = rebuildCounters(history.options('one', sick));
    await letRun();
    const healthy = rebuildCounters(history.options('two'));
    expect(await history.passUntil(healthy)).toBeLessThan(15_000);
    expect(history.counters.areValid).toBe(true);
    expect(history.countsOf()).toEqual({ met: 1, attempts: 1 });
    isSick = false;
    await history.passUntil(sickOne);
    await sickOne;
    expect(history.countsOf()).toEqual({ met: 1, attempts: 1 });
    expect(history.clock.timerCount).toBe(0);
  });

  it('that is alone makes the counters when S3 is back', async () => {
    const history = new History();
    await history.store('a', 0);
    let isAway = true;
    const away: ObjectStore = {
      put: (key, body) => history.objects.put(key, body),
      get: (key) => history.objects.get(key),
      async *list(prefix) {
        if (isAway) throw new ServerUnavailableError('503', { isRefusal: false });
        yield* history.objects.list(prefix);
      },
    };
    const rebuilt = rebuildCounters(history.options('one', away));
    expect(await history.passUntil(rebuilt, 60_000)).toBe(60_000);
    isAway = false;
    expect(await history.passUntil(rebuilt)).toBeLessThan(20_000);
    expect(history.countsOf()).toEqual({ met: 1, attempts: 1 });
  });

  it('is ended by another one that took the rebuild over, also while S3 hangs', async () => {
    const history = new History();
    await history.store('a', 0);
    const hanging: ObjectStore = {
      put: (key, body) => history.objects.put(key, body),
      get: () => new Promise(() => {}),
      list: (prefix) => history.objects.list(prefix),
    };
    const frozen = rebuildCounters(history.options('one', hanging)).catch((error: unknown) => error);
    await letRun();
    history.counters.lose();
    await history.passUntil(rebuildCounters(history.options('two')));
    await history.passUntil(frozen);
    expect(await frozen).toMatchObject({ code: 'COUNTERS_LOST' });
    expect(history.countsOf()).toEqual({ met: 1, attempts: 1 });
  });

  it('ends within seconds when its process must end, also where it only reads', async () => {
    const history = new History();
    let pauses = 0;
    let reads = 0;
    const endless: ObjectStore = {
      put: async () => {},
      get: () => new Promise((resolve) => void history.clock.after(100, () => resolve(Buffer.from('none')))),
      async *list(prefix) {
        for (; prefix === 'success/'; reads += 1)
          yield outcomeObjectKey('success', outcomeObjectId(history.nowMs + reads, 'one', reads));
      },
    };
    const ended = rebuildCounters({
      ...history.options('one', endless),
      pause: () => (++pauses > 1 ? Promise.reject(new Error('the process ends')) : Promise.resolve()),
    }).catch((error: unknown) => error);
    expect(await history.passUntil(ended, 30_000)).toBeLessThan(10_000);
    expect(await ended).toMatchObject({ message: 'the process ends' });
    expect(history.clock.timerCount).toBeLessThan(40);
  });

  it('ends when Redis has not answered for as long as the grant lasts', async () => {
    const history = new History();
    const hanging: ObjectStore = {
      put: async () => {},
      get: async () => undefined,
      async *list() {
        await new Promise(() => {});
      },
    };
    const counters = history.counters.store('one', async (script, run) => {
      if (script === 'prolongRebuild')
        throw new ServerUnavailableError('Redis is away', { isRefusal: false });
      return run();
    });
    const ended = rebuildCounters({ ...history.options('one', hanging), counters }).catch(
      (error: unknown) => error,
    );
    expect(await history.passUntil(ended, 60_000)).toBeLessThan(20_000);
    expect(await ended).toMatchObject({ message: 'Redis is away' });
  });
});
