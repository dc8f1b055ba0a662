import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest';
import { bucketOf } from '../../shared/domain/histogram.ts';
import type { OutcomeRecord } from '../../shared/domain/outcome/outcome.ts';
import { openedAtOf, outcomeObjectId } from '../../shared/domain/outcome/outcome-object.ts';
import { CallRefusedError, ServerUnavailableError, StoppedError } from '../../shared/errors.ts';
import type { Pause } from '../../shared/pipeline/publish-until-confirmed.ts';
import type { CounterEntry } from '../../shared/ports/counter-store.ts';
import type { Intercept } from '../../tests/kit/intercepted.ts';
import { letRun } from '../../tests/kit/manual-clock.ts';
import {
  announcementLine,
  attemptLine,
  attemptRecord,
  booksByRecords,
  booksOf,
  outcomeLine,
  RecorderWorld,
  strayBooksByJournal,
} from '../../tests/kit/recorder-world.ts';
import { withoutDuplicates } from '../../tests/kit/stored-records.ts';
import { RealStores } from '../../tests/kit/stores/real-stores.ts';

const HANGS_LONGER_FROM = Date.UTC(2026, 10, 22, 10, 0, 30);
const away = () => new ServerUnavailableError('away', { isRefusal: false });
const FAILED = attemptRecord(1, 'failed');
const SENT = attemptRecord(1, 'sent');

let stores: RealStores;
let world: RecorderWorld;

beforeAll(async () => {
  stores = await new RealStores(inject('servers')).open();
});

afterAll(() => stores.close());

beforeEach(async () => {
  world = await new RecorderWorld(stores).prepare();
});

const sentLine = (id: string, execution = 0) => outcomeLine(world, id, [attemptRecord(1, 'sent', execution)]);
const sentLines = (count: number) => Array.from({ length: count }, (_, index) => sentLine(`s-${index}`));

/** Lets calls through until `hold`, and then on when `letGo` is called. */
class Gate {
  #open = Promise.resolve();
  #letGo = () => {};
  isHolding = false;

  hold(): void {
    this.isHolding = true;
    this.#open = new Promise((resolve) => {
      this.#letGo = resolve;
    });
  }

  letGo(): void {
    this.isHolding = false;
    this.#letGo();
  }

  pass(): Promise<void> {
    return this.#open;
  }
}

async function rawCountsById(): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const { record } of await world.storedRecords())
    counts[record.smsId] = (counts[record.smsId] ?? 0) + 1;
  return counts;
}

/** The books agree with S3 and with all that was told, to the last send. */
async function expectRightBooks(lines: readonly string[], { rawDuplicates = 0 } = {}): Promise<void> {
  const stored = await world.storedRecords();
  const records = withoutDuplicates(stored);
  const counters = (await world.readCounters()).runs.get(world.run);
  expect(booksOf(counters)).toEqual(booksByRecords(records));
  expect({ repeatedSends: counters?.repeatedSends, idConflicts: counters?.idConflicts }).toEqual(
    strayBooksByJournal(lines, records),
  );
  expect(stored.length - records.length).toBe(rawDuplicates);
  expect(world.queue.settledTwiceCount).toBe(0);
}

describe('an outcome', () => {
  it('whose journal message comes twice is recorded and counted once', async () => {
    const lines = [attemptLine(world, 'a', FAILED), sentLine('b'), outcomeLine(world, 'c', [])];
    world.publish(...lines);
    world.publish(...lines);
    const { source } = world.start();
    await world.until(() => world.queue.unacknowledgedCount === 2);
    source.breakChannel();
    world.publish(...lines);
    world.publish(outcomeLine(world, 'a', [FAILED, attemptRecord(2, 'sent')]));
    await world.untilAcknowledged();
    expect(await rawCountsById()).toEqual({ a: 1, b: 1, c: 1 });
    await expectRightBooks(lines.concat(outcomeLine(world, 'a', [FAILED, attemptRecord(2, 'sent')])));
  });

  it('brings attempts that were never told, and makes late or disordered ones no repetition', async () => {
    const second = attemptRecord(2, 'failed');
    const end = outcomeLine(world, 'a', [FAILED, second, attemptRecord(3, 'sent')]);
    const messages = [
      [attemptLine(world, 'a', second)],
      [end],
      [attemptLine(world, 'a', FAILED), attemptLine(world, 'a', second)],
    ];
    for (const lines of messages) world.publish(...lines);
    world.start();
    await world.untilAcknowledged();
    const counters = (await world.readCounters()).runs.get(world.run);
    expect(counters).toMatchObject({ met: 1, attempts: 3, attemptsFailed: 2, repeatedSends: 0 });
    await expectRightBooks(messages.flat());
  });

  it('of a fork is counted with the attempts of its record; each send beyond them as one repeated send', async () => {
    const [first, again] = [attemptRecord(1, 'failed'), attemptRecord(1, 'failed', 1)];
    const sent = outcomeLine(world, 'a', [again, attemptRecord(2, 'sent', 1)]);
    const gaveUp = outcomeLine(world, 'a', [first, attemptRecord(2, 'failed')]);
    const messages = [
      [attemptLine(world, 'a', first)],
      [attemptLine(world, 'a', again)],
      [sent],
      [gaveUp],
      [gaveUp, sent],
    ];
    for (const lines of messages) world.publish(...lines);
    world.start();
    await world.untilAcknowledged();
    expect((await world.readCounters()).runs.get(world.run)).toMatchObject({
      ...{ sent: 1, failed: 0, attempts: 2, repeatedSends: 2 },
    });
    await expectRightBooks(messages.flat());
  });

  it('of an id that has another content already is a conflict, once, and named', async () => {
    const hello = outcomeLine(world, 'a', [SENT]);
    const bye = outcomeLine(world, 'a', [attemptRecord(1, 'sent', 1)], { text: 'bye' });
    for (const line of [hello, bye, bye, hello]) world.publish(line);
    world.start();
    await world.untilAcknowledged();
    const { runs, conflictingIds } = await world.readCounters();
    expect(runs.get(world.run)).toMatchObject({ sent: 1, attempts: 1, repeatedSends: 1, idConflicts: 1 });
    expect(conflictingIds).toEqual(['a']);
  });

  it('of an id that two runs use belongs to the run of its record', async () => {
    const lines = [
      attemptLine(world, 'a', FAILED, 'other'),
      outcomeLine(world, 'a', [FAILED, attemptRecord(2, 'sent')]),
    ];
    world.publish(...lines);
    world.start();
    await world.untilAcknowledged();
    const { runs } = await world.readCounters();
    expect(runs.get('other')).toMatchObject({ met: 0, attempts: 0, attemptsFailed: 0, processingMsSum: 0 });
    await expectRightBooks(lines);
  });

  it.each([
    ['began before 1970', { ...FAILED, startedAt: '1960-01-01T00:00:00.000Z' }],
    ['began in the year 275760', { ...FAILED, startedAt: '+275760-09-13T00:00:00.000Z' }],
    ['took as long as a number can say', { ...FAILED, tookMs: Number.MAX_SAFE_INTEGER }],
    ['was as early as a number can say', { ...FAILED, lateMs: -Number.MAX_SAFE_INTEGER }],
  ])('told by a foreign client with an attempt that %s does not stop the recorder', async (_, strange) => {
    const ids = Array.from({ length: 1_100 }, (_, index) => `a-${index}`);
    world.publish(...ids.map((id) => outcomeLine(world, id, [strange, attemptRecord(2, 'sent')])));
    world.start();
    await world.untilAcknowledged();
    expect((await world.readCounters()).runs.get(world.run)).toMatchObject({ sent: 1_100, attempts: 2_200 });
  });
});

describe('a journal message', () => {
  it('is acknowledged only when all its outcomes are stored, also where they fill several objects', async () => {
    const gate = new Gate();
    gate.hold();
    let putCount = 0;
    world.publish(...sentLines(10));
    world.start({
      batchSize: 3,
      intercept: async (name, run) => {
        if (name !== 'put') return run();
        putCount += 1;
        if (putCount === 4) await gate.pass();
        return run();
      },
    });
    await world.until(async () => (await world.storedRecords()).length === 9);
    expect(world.queue.acknowledged.length).toBe(0);
    gate.letGo();
    await world.untilAcknowledged();
    const stored = await world.storedRecords();
    const sizes = [...new Set(stored.map(({ objectId }) => objectId))].map(
      (objectId) => stored.filter((one) => one.objectId === objectId).length,
    );
    expect(sizes.sort()).toEqual([1, 3, 3, 3]);
    await expectRightBooks(sentLines(10));
  });

  it('with a line that cannot be read is parked, and its other lines are recorded', async () => {
    world.publish(sentLine('a'), 'no JSON', sentLine('b'));
    world.publish(sentLine('c'));
    world.start();
    await world.untilAcknowledged();
    const reason = 'a line of this journal message cannot be read';
    expect(world.parked).toEqual([{ lines: `${sentLine('a')}\nno JSON\n${sentLine('b')}\n`, reason }]);
    expect(await rawCountsById()).toEqual({ a: 1, b: 1, c: 1 });
    await expectRightBooks(['a', 'b', 'c'].map((id) => sentLine(id)));
  });

  it('with lines of another pipeline is parked, and neither Redis nor S3 hears of them', async () => {
    const ofOther = (line: string) => JSON.stringify({ ...JSON.parse(line), queue: 'other' });
    const lines = [sentLine('a'), ofOther(sentLine('b')), ofOther(announcementLine(world, 7))];
    world.publish(...lines);
    world.start();
    await world.untilAcknowledged();
    const reason = 'a line of this journal message names another QUEUE_NAME';
    expect(world.parked).toEqual([{ lines: `${lines.join('\n')}\n`, reason }]);
    expect(await rawCountsById()).toEqual({ a: 1 });
    expect((await world.readCounters()).runs.get(world.run)?.announced).toBe(0);
    await expectRightBooks([sentLine('a')]);
  });

  it('with lines of a newer version is recorded but for these, which are kept', async () => {
    const newer = JSON.stringify(
      JSON.parse(sentLine('b'), (key, value) => (key === 'result' ? 'deferred' : value)),
    );
    world.publish(sentLine('a'), '{"entry":"receipt","smsId":"a"}', newer);
    world.start();
    await world.untilAcknowledged();
    expect(world.keptForLater).toEqual([`{"entry":"receipt","smsId":"a"}\n${newer}`]);
    expect(world.parked).toEqual([]);
    await expectRightBooks([sentLine('a')]);
  });

  it('that nobody can count is parked, and what came with it is recorded', async () => {
    const { clock } = world.start({
      intercept: (name, run, [entries]) =>
        name === 'record' && JSON.stringify(entries).includes('"poison"')
          ? Promise.reject(new CallRefusedError('unheard of'))
          : run(),
    });
    world.publish(sentLine('a'));
    world.publish(sentLine('poison'));
    world.publish(sentLine('b'));
    await world.untilAcknowledged();
    expect(world.parked).toEqual([
      { lines: `${sentLine('poison')}\n`, reason: 'an error inside Redial broke it off' },
    ]);
    // The recorder is as it was.
    world.publish(sentLine('c'));
    await world.untilAcknowledged();
    expect(await rawCountsById()).toEqual({ a: 1, b: 1, c: 1 });
    await expectRightBooks(['a', 'b', 'c'].map((id) => sentLine(id)));
    expect(clock.timerCount).toBe(1);
  });

  it('without a line is acknowledged', async () => {
    world.publish('');
    world.start();
    await world.untilAcknowledged();
    expect(world.queue.acknowledged.length).toBe(1);
  });
});

describe('an object', () => {
  it('is written when the time is over, without any further message', async () => {
    world.publish(sentLine('a'));
    const { clock } = world.start({ batchMs: 1_000 });
    await world.until(() => clock.timerCount === 2, 0);
    await clock.advance(999);
    expect(await rawCountsById()).toEqual({});
    await clock.advance(1);
    await world.until(() => world.queue.acknowledged.length === 1, 0);
  });

  it('is written soon also where the clock was stepped back by an hour', async () => {
    world.publish(sentLine('a'));
    const { clock } = world.start({ batchMs: 1_000 });
    await world.until(() => clock.timerCount === 2, 0);
    clock.stepBy(-3_600_000);
    await clock.advance(1_000);
    await world.until(() => world.queue.acknowledged.length === 1, 0);
  });

  it('is written at once where it is full, and where the window is: nothing more could come', async () => {
    world.start({ batchSize: 2, prefetchCount: 100 });
    world.publish(...sentLines(2));
    await world.until(() => world.queue.acknowledged.length === 1, 0);
    await world.kill(world.recorders[0] as never);
    world.start({ batchSize: 100, prefetchCount: 3 });
    for (const id of ['x', 'y', 'z']) world.publish(sentLine(id));
    await world.until(() => world.queue.acknowledged.length === 4, 0);
  });

  it('whose put was carried out but not answered is put again: same key, same bytes, one record', async () => {
    let isLost = false;
    world.publish(sentLine('a'));
    const recorder = world.start({
      intercept: async (name, run) => {
        const value = await run();
        if (name !== 'put' || isLost) return value;
        isLost = true;
        world.publish(sentLine('b'));
        throw new Error('socket hang up');
      },
    });
    await world.untilAcknowledged();
    expect(recorder.calls.filter((name) => name === 'put').length).toBe(3);
    await expectRightBooks([sentLine('a'), sentLine('b')]);
  });
});

it('opens no two objects within one millisecond: of a settled SMS, Redis keeps only when its object was opened', async () => {
  const failedLine = outcomeLine(world, 'b', [attemptRecord(1, 'failed')]);
  world.publish(sentLine('a'), failedLine);
  world.start({ prefetchCount: 1 });
  await world.untilAcknowledged();
  const openedAt = (await world.storedRecords()).map(({ objectId }) => openedAtOf(objectId));
  expect(new Set(openedAt).size).toBe(2);
});

describe('two recorders', () => {
  it('that meet the same outcome write it once: the second waits while the first lives', async () => {
    const gate = new Gate();
    gate.hold();
    world.publish(sentLine('a'));
    const first = world.start({ prefetchCount: 1, intercept: holding(gate, 'put') });
    await world.until(() => first.calls.includes('put'));
    const second = world.start({ prefetchCount: 1 });
    world.publish(sentLine('a'), sentLine('b'));
    await world.until(async () => (await rawCountsById()).b === 1);
    await world.until(() => second.calls.filter((name) => name === 'record').length >= 5);
    expect(world.queue.acknowledged.length).toBe(0);
    gate.letGo();
    await world.untilAcknowledged();
    expect(await rawCountsById()).toEqual({ a: 1, b: 1 });
    await expectRightBooks([sentLine('a'), sentLine('b')]);
  });

  it.each(['put', 'settle'])(
    'one of them frozen before its %s and thawed later: the books are those of the smallest object',
    async (step) => {
      const gate = new Gate();
      gate.hold();
      const [told, toldAgain] = [sentLine('a'), sentLine('a', 1)];
      world.publish(told);
      const frozen = world.start({ prefetchCount: 1, intercept: holding(gate, step) });
      await world.until(() => frozen.calls.includes(step));
      await stores.command('ZREM', `${world.prefix}:recorders`, frozen.id);
      world.start();
      frozen.source.end();
      world.publish(toldAgain);
      await world.until(() => world.queue.acknowledged.length === 2);
      gate.letGo();
      await world.until(() => frozen.calls.includes('restore') || step === 'settle');
      await letRun();
      await world.until(async () => (await world.readCounters()).runs.get(world.run)?.sent === 1);
      await sleep(20);
      await expectRightBooks([told, toldAgain], { rawDuplicates: step === 'put' ? 1 : 0 });
    },
  );

  it('are not gone for each other where it was Redis that was away', async () => {
    const alive = `${world.prefix}:recorders`;
    const [owner, other] = ['owner', 'other'].map((id) => stores.counters(world.prefix, id));
    const claimFor = (recorderId: string): CounterEntry[] => {
      const outcome = { smsId: 'a', run: 'demo', status: 'sent', contentDigest: '', attempts: [] } as const;
      return [{ kind: 'outcome', outcome, objectId: outcomeObjectId(0, recorderId, 1) }];
    };
    await owner?.record(claimFor('owner'));
    await other?.signalLife(true);
    for (const silent of ['owner', 'other']) await stores.command('ZINCRBY', alive, -20, silent);
    expect(await other?.record(claimFor('other'))).toMatchObject([{ isOwnerAlive: true }]);
    await stores.command('ZINCRBY', alive, -20, 'owner');
    expect(await other?.record(claimFor('other'))).toMatchObject([{ isOwnerAlive: false }]);
  });

  it('that were told two contents, one of them gone: one conflict, whichever is recorded', async () => {
    const hello = outcomeLine(world, 'a', [SENT]);
    const bye = outcomeLine(world, 'a', [attemptRecord(1, 'sent', 1)], { text: 'bye' });
    const gate = new Gate();
    gate.hold();
    world.publish(hello);
    const first = world.start({ prefetchCount: 1, intercept: holding(gate, 'put') });
    await world.until(() => first.calls.includes('put'));
    const second = world.start({ prefetchCount: 1 });
    world.publish(bye);
    await world.until(() => second.calls.filter((name) => name === 'record').length >= 2);
    gate.hold();
    await world.kill(first);
    await world.untilAcknowledged();
    const { runs, conflictingIds } = await world.readCounters();
    expect(withoutDuplicates(await world.storedRecords())[0]?.text).toBe('bye');
    expect(runs.get(world.run)).toMatchObject({ sent: 1, attempts: 1, repeatedSends: 1, idConflicts: 1 });
    expect(conflictingIds).toEqual(['a']);
  });
});

describe('an SMS that comes again in another run', () => {
  const againLine = (id: string) => outcomeLine(world, id, [SENT], { run: 'again' });

  it('has a record that says so, once', async () => {
    world.publish(sentLine('a'), againLine('a'));
    world.publish(againLine('a'));
    world.start();
    await world.untilAcknowledged();
    const stored = (await world.storedRecords()).map(({ record }) => [record.run, record.status]);
    expect(stored.sort()).toEqual([
      ['again', 'known'],
      [world.run, 'sent'],
    ]);
    expect((await world.readCounters()).runs.get('again')).toMatchObject({ met: 1, known: 1, attempts: 0 });
    await world.until(() => world.queue.acknowledged.length === 2);
  });

  it('has it also where the first recorder died between storing and counting', async () => {
    const first = world.start({
      intercept: (name, run) => (name === 'settle' ? new Promise(() => {}) : run()),
    });
    world.publish(sentLine('a'));
    await world.until(async () => (await world.storedRecords()).length === 1);
    await world.kill(first);
    world.publish(againLine('a'));
    world.start();
    await world.untilAcknowledged();
    expect((await world.readCounters()).runs.get('again')).toMatchObject({ met: 1, known: 1 });
    expect((await world.readCounters()).runs.get(world.run)).toMatchObject({ met: 1, sent: 1 });
  });
});

it('an outcome whose take-over cannot be counted is parked, and the others go on', async () => {
  const first = world.start({
    intercept: (name, run) => (name === 'settle' ? new Promise(() => {}) : run()),
  });
  world.publish(sentLine('a'));
  await world.until(async () => (await world.storedRecords()).length === 1);
  await world.kill(first);
  world.start({
    intercept: (name, run) =>
      name === 'restore' ? Promise.reject(new CallRefusedError('WRONGTYPE')) : run(),
  });
  world.publish(sentLine('b'));
  await world.untilAcknowledged();
  expect(world.parked).toMatchObject([{ lines: `${sentLine('a')}\n` }]);
  expect(await rawCountsById()).toEqual({ a: 1, b: 1 });
});

it('a journal message that is larger than any of ours is parked unread', async () => {
  world.start();
  world.publish('{"entry":"x"}\n'.repeat(80_000));
  world.publish(sentLine('b'));
  await world.untilAcknowledged();
  expect(world.parked).toMatchObject([{ reason: 'this journal message is larger than any of Redial' }]);
  expect(world.keptForLater).toEqual([]);
  expect(await rawCountsById()).toEqual({ b: 1 });
});

it('one object that S3 refuses for a minute, while it takes others under the same prefix, is given up', async () => {
  let refusedKey: unknown;
  const recorder = world.start({
    intercept: (name, run, [key]) => {
      if (name !== 'put') return run();
      refusedKey ??= key;
      return key === refusedKey
        ? Promise.reject(new ServerUnavailableError('forbidden', { isRefusal: true }))
        : run();
    },
  });
  const startedAtMs = recorder.clock.nowMs();
  world.publish(sentLine('a'));
  const others: string[] = [];
  await world.until(() => {
    if (refusedKey === undefined) return false;
    const other = sentLine(`b-${others.length}`);
    others.push(other);
    world.publish(other);
    return world.parked.length > 0;
  }, 1_000);
  expect(recorder.clock.nowMs() - startedAtMs).toBeGreaterThan(60_000);
  await world.untilAcknowledged();
  expect(world.parked).toMatchObject([{ lines: `${sentLine('a')}\n` }]);
  expect(await rawCountsById()).toEqual(
    Object.fromEntries(others.map((line) => [(JSON.parse(line) as OutcomeRecord).smsId, 1])),
  );
});

describe('a store that is away', () => {
  it('is told to the monitor with the sign of life, until it is back', async () => {
    let isAway = true;
    world.publish(sentLine('a'));
    world.start({
      batchSize: 1,
      intercept: (name, run) => (name === 'put' && isAway ? Promise.reject(away()) : run()),
    });
    const troubles = async () => (await world.readCounters()).recordingTroubles;
    await world.until(async () => (await troubles()).length > 0);
    expect(await troubles()).toEqual(['S3 does not answer (away)']);
    isAway = false;
    await world.untilAcknowledged();
    await world.until(async () => (await troubles()).length === 0);
  });

  it.each(['put', 'record', 'settle'])(
    'so that no %s succeeds for over a minute gives the messages back, keeps little, and begins again when it is back',
    async (step) => {
      const gate = new Gate();
      gate.hold();
      const recorder = world.start({
        prefetchCount: 4,
        batchSize: 2,
        intercept: (name, run) => (name === step && gate.isHolding ? Promise.reject(away()) : run()),
      });
      const lines = sentLines(20);
      for (const line of lines) world.publish(line);
      await world.until(() => recorder.clock.nowMs() >= Date.UTC(2026, 10, 22, 10, 0, 59), 1_000);
      expect(recorder.source.releaseCount).toBe(0);
      await world.until(() => recorder.source.releaseCount === 1, 1_000);
      expect(recorder.source.isConsuming).toBe(false);
      expect(world.queue.readyCount).toBe(20);
      gate.letGo();
      await world.untilAcknowledged();
      expect(recorder.source.releaseCount).toBe(1);
      // The log names this store, and only this one.
      const [store, other] = step === 'put' ? ['S3', 'Redis'] : ['Redis', 'S3'];
      const said = recorder.log.messages.join();
      expect(said).toMatch(new RegExp(`${store} fails .*${store} is away for a minute.*${store} is back`));
      expect(said).not.toContain(other);
      await expectRightBooks(lines);
    },
  );

  it.each(['put', 'record', 'settle'])(
    'so that no %s succeeds for 5 s leaves what comes in to others, who record it at once',
    async (step) => {
      const gate = new Gate();
      gate.hold();
      const sick = world.start({
        intercept: (name, run) => (name === step && gate.isHolding ? Promise.reject(away()) : run()),
      });
      const lines = sentLines(20);
      for (const line of lines.slice(0, 5)) world.publish(line);
      await world.until(() => !sick.source.isConsuming);
      expect(sick.clock.nowMs()).toBeLessThan(Date.UTC(2026, 10, 22, 10, 0, 10));

      world.start();
      for (const line of lines.slice(5)) world.publish(line);
      await world.until(() => world.queue.acknowledged.length === 15);
      expect(sick.source.releaseCount).toBe(0);
      gate.letGo();
      await world.untilAcknowledged();
      expect(sick.source.isConsuming).toBe(true);
      await expectRightBooks(lines);
    },
  );

  it('so that Redis is silent for 5 s and then refuses what was tried is followed by what comes in later', async () => {
    let isSilent = true;
    const recorder = world.start({
      intercept: (name, run, [entries]) => {
        if (name !== 'record' || !JSON.stringify(entries).includes('"poison"')) return run();
        return Promise.reject(isSilent ? away() : new CallRefusedError('unheard of'));
      },
    });
    world.publish(sentLine('poison'));
    await world.until(() => !recorder.source.isConsuming);
    isSilent = false;
    await world.until(() => world.parked.length === 1);
    world.publish(sentLine('later'));
    await world.untilAcknowledged();
    await expectRightBooks([sentLine('later')]);
  });

  it('for good for one prefix, while another one hangs, is followed by what comes in later', async () => {
    const { clock } = world.start({
      intercept: async (name, run, [key]) => {
        if (name === 'put' && String(key).startsWith('runs/'))
          throw new ServerUnavailableError('forbidden', { isRefusal: true });
        if (name !== 'put' || !String(key).startsWith('parked/')) return run();
        // Until the other one is given up: nothing is put then that could tell that S3 is well.
        do await new Promise<void>((resolve) => clock.after(1_000, resolve));
        while (clock.nowMs() > HANGS_LONGER_FROM && world.parked.length === 0);
        throw away();
      },
    });
    world.publish(announcementLine(world, 1));
    await world.until(() => world.parked.length === 1, 1_000);
    world.publish(sentLine('later'));
    await world.untilAcknowledged();
    expect(await rawCountsById()).toMatchObject({ later: 1 });
  });

  it('for one object, again and again, does not make the recorder hold more and more', async () => {
    const lines = sentLines(3);
    const accepted = [1, 2, 3].map((number) => announcementLine(world, number));
    let isRefusingAll = true;
    let isRefusingOutcomes = true;
    let mostClaims = 0;
    const recorder = world.start({
      prefetchCount: 4,
      intercept: (name, run, [first]) => {
        if (name === 'record') mostClaims = Math.max(mostClaims, (first as unknown[]).length);
        const isRefused = isRefusingAll || (isRefusingOutcomes && !String(first).startsWith('runs/'));
        return name === 'put' && isRefused ? Promise.reject(away()) : run();
      },
    });
    for (const line of lines) world.publish(line);
    for (const [round, line] of accepted.entries()) {
      isRefusingAll = true;
      world.publish(line);
      await world.until(() => recorder.source.releaseCount === round + 1, 1_000);
      // S3 is back for the announcement: the recorder begins again, and meets what it has claimed itself.
      isRefusingAll = false;
      await world.until(() => world.queue.acknowledged.length === round + 1);
      const { calls } = recorder;
      const before = calls.length;
      await world.until(() => calls.slice(before).filter((name) => name === 'record').length >= 4);
    }
    // Each outcome and the newest announcement, whatever came again in between.
    expect(mostClaims).toBe(4);
    isRefusingOutcomes = false;
    await world.untilAcknowledged();
    await expectRightBooks(lines);
  });
});

function holding(gate: Gate, held: string): Intercept {
  return async (name, run) => {
    if (name === held) await gate.pass();
    return run();
  };
}

describe('draining', () => {
  const pauseUntil =
    (signal: AbortSignal): Pause =>
    async () => {
      await sleep(2);
      signal.throwIfAborted();
    };

  it('stores and acknowledges all that was taken, without waiting for the time of a batch', async () => {
    const recorder = world.start();
    for (const line of sentLines(7)) world.publish(line);
    await world.until(() => recorder.calls.includes('record'), 0);
    expect(await recorder.recorder.drain(new AbortController().signal)).toBe(0);
    expect(world.queue.acknowledged.length).toBe(7);
    expect(recorder.calls.at(-1)).toBe('leave');
    expect(await stores.command('ZSCORE', `${world.prefix}:recorders`, recorder.id)).toBeNull();
    await expectRightBooks(sentLines(7));
  });

  it('with nothing to do ends at once, and leaves no timer', async () => {
    const recorder = world.start();
    await letRun();
    expect(await recorder.recorder.drain(new AbortController().signal)).toBe(0);
    expect(recorder.clock.timerCount).toBe(0);
  });

  it('beyond the deadline says how many messages are left, and does not say that it left nothing', async () => {
    const deadline = new AbortController();
    const recorder = world.start({
      pause: pauseUntil(deadline.signal),
      intercept: (name, run) => (name === 'put' ? Promise.reject(away()) : run()),
    });
    for (const line of sentLines(3)) world.publish(line);
    world.publish(attemptLine(world, 'x', FAILED));
    await world.until(() => world.queue.unacknowledgedCount === 3, 0);
    const drained = recorder.recorder.drain(deadline.signal);
    await sleep(50);
    deadline.abort(new StoppedError('over'));
    expect(await drained).toBe(3);
    await sleep(20);
    expect(recorder.calls).not.toContain('leave');
    expect(world.queue.acknowledged.length).toBe(1);
    expect(recorder.log.lines.filter(({ level }) => level === 'error')).toEqual([]);
  });

  it('does not wait beyond the deadline for a broker that does not answer', async () => {
    const deadline = new AbortController();
    const recorder = world.start({ pause: pauseUntil(deadline.signal) });
    recorder.source.cancel = () => new Promise(() => {});
    const drained = recorder.recorder.drain(deadline.signal);
    setTimeout(() => deadline.abort(new StoppedError('over')), 20);
    expect(await Promise.race([drained, sleep(2_000, 'waits')])).toBe(0);
  });

  it('waits for an outcome that another recorder is writing', async () => {
    const gate = new Gate();
    gate.hold();
    world.publish(sentLine('a'));
    const first = world.start({ prefetchCount: 1, intercept: holding(gate, 'put') });
    await world.until(() => first.calls.includes('put'));
    const second = world.start({ prefetchCount: 1 });
    world.publish(sentLine('a'));
    await world.until(() => second.calls.includes('record'));
    const drained = second.recorder.drain(new AbortController().signal);
    await sleep(20);
    gate.letGo();
    await world.until(async () => (await Promise.race([drained, sleep(1, 'waits')])) === 0);
    await world.untilAcknowledged();
    await expectRightBooks([sentLine('a')]);
  });

  it('ends also where a step breaks off for a reason nobody thought of: its message is parked', async () => {
    const recorder = world.start({
      intercept: (name, run) => (name === 'record' ? Promise.resolve(undefined) : run()),
    });
    world.publish(sentLine('a'));
    expect(await recorder.recorder.drain(new AbortController().signal)).toBe(0);
    await world.untilAcknowledged();
    expect(world.parked).toMatchObject([{ reason: 'an error inside Redial broke it off' }]);
  });
});

describe('the counters', () => {
  it('have the buckets of shared/domain/histogram.ts', async () => {
    const powers = Array.from({ length: 42 }, (_, exponent) => 2 ** exponent);
    const values = [...powers.flatMap((power) => [power - 1, power, power + 1]), 1_000, 4_095.0, 123_456_789];
    for (let value = 0; value < 1_200; value += 1) values.push(value, Math.floor(1.017 ** value));
    const attempts = values.map((tookMs) => ({ ...FAILED, tookMs, lateMs: tookMs - 5 }));
    world.publish(
      ...attempts.map((attempt, index) => attemptLine(world, `h-${index}`, attempt, `run-${index}`)),
    );
    world.start();
    await world.untilAcknowledged();
    const { runs } = await world.readCounters();
    const buckets = values.map((_, index) => {
      const run = runs.get(`run-${index}`);
      return [...(run?.processingBuckets.keys() ?? []), ...(run?.latenessBuckets.keys() ?? [])];
    });
    expect(buckets).toEqual(values.map((value) => [bucketOf(value), bucketOf(value - 5)]));
  });

  it('take an object of as many outcomes as the largest OUTCOME_BATCH_SIZE allows', async () => {
    const counters = stores.counters(world.prefix, 'large');
    const ids = Array.from({ length: 100_000 }, (_, index) => `l-${index}`);
    expect((await counters.settle('20261122T100000000Z-large-000001', ids)).length).toBe(100_000);
    const outcomes = ids.slice(0, 30_000).map((smsId) => ({
      ...{ smsId, run: world.run, status: 'sent' as const, contentDigest: 'd', attempts: [SENT] },
    }));
    await counters.restore('20261122T100000000Z-large-000001', outcomes);
    expect((await world.readCounters()).runs.get(world.run)).toMatchObject({
      sent: 30_000,
      attempts: 30_000,
    });
  });

  it('know what was announced, the largest number of each run', async () => {
    for (const accepted of [3, 9, 5]) world.publish(announcementLine(world, accepted));
    world.start();
    await world.untilAcknowledged();
    expect((await world.readCounters()).runs.get(world.run)).toMatchObject({ announced: 9, acceptedUpTo: 9 });
  });
});
