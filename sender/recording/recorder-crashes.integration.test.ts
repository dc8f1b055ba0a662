/**
 * A recorder may die at any moment. "Any" is taken by its word here: every call it makes to Redis and S3 is a place
 * to die, before the call has had its effect and after it (the reply is lost), and another recorder takes over.
 */
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import type { ObjectStore } from '../../shared/ports/object-store.ts';
import {
  announcementLine,
  attemptLine,
  attemptRecord,
  booksByRecords,
  booksOf,
  isSignOfLife,
  outcomeLine,
  type RecorderSettings,
  RecorderWorld,
  strayBooksByJournal,
} from '../../tests/kit/recorder-world.ts';
import { withoutDuplicates } from '../../tests/kit/stored-records.ts';
import { MemoryObjectStore } from '../../tests/kit/stores/memory-object-store.ts';
import { RealStores } from '../../tests/kit/stores/real-stores.ts';

const TOGETHER = 6;
const SMALL = { batchSize: 3, prefetchCount: 5 };

let stores: RealStores;

beforeAll(async () => {
  stores = await new RealStores(inject('servers')).open();
});

afterAll(() => stores.close());

/** Where a recorder dies: at its n-th call, before or after the effect. */
interface Death {
  readonly callIndex: number;
  readonly isAfterEffect: boolean;
}

/** Journal messages with everything that makes recording hard; each inner list is one message. */
function describeJournal(world: RecorderWorld): string[][] {
  const failed = (attempt: number, execution = 0) => attemptRecord(attempt, 'failed', execution);
  const sent = (attempt: number, execution = 0) => attemptRecord(attempt, 'sent', execution);
  const outcome = (id: string, ...attempts: Parameters<typeof outcomeLine>[2]) =>
    outcomeLine(world, id, attempts);
  const messages = [
    [
      announcementLine(world, 9),
      attemptLine(world, 'a', failed(1)),
      attemptLine(world, 'b', failed(1)),
      outcome('c', sent(1)),
    ],
    [
      outcome('a', failed(1), sent(2)),
      outcome('b', failed(1), failed(2)),
      outcome('d'),
      outcome('e', sent(1)),
    ],
    // An attempt that arrives after its end, and the second before the first.
    [
      attemptLine(world, 'a', failed(1)),
      attemptLine(world, 'f', failed(2)),
      attemptLine(world, 'f', failed(1)),
    ],
    [outcome('f', failed(1), failed(2), sent(3)), outcome('g', sent(1)), outcome('h', failed(1), sent(2))],
    // Forks: sent twice; sent once and given up once, the first attempt of which nobody else tells.
    [outcome('g', sent(1, 1)), outcome('h', failed(1, 1), failed(2, 1))],
    // Another content under the same id.
    [
      outcome('i', sent(1)),
      outcomeLine(world, 'i', [sent(1, 2)], { text: 'bye' }),
      attemptLine(world, 'i', sent(1)),
    ],
  ];
  // A message that was published twice, its first confirm having been lost.
  return [...messages, messages[1] ?? []];
}

/** Lets a recorder with this fate take all, and another one what it leaves; at the end the books must be right. */
async function recordWith(
  deaths: readonly Death[],
  objects?: ObjectStore,
): Promise<{ calls: string[]; deathCount: number }> {
  const world = await new RecorderWorld(stores, objects).prepare();
  const messages = describeJournal(world);
  for (const lines of messages) world.publish(...lines);
  let deathCount = 0;
  for (const death of deaths) {
    const settings = dyingAt(death, () => {
      deathCount += 1;
    });
    const recorder = world.start({ ...SMALL, ...settings });
    const before = deathCount;
    await world.until(() => deathCount > before || isDone(world));
    await world.kill(recorder);
  }
  const last = world.start(SMALL);
  await world.untilAcknowledged();
  await expectRightBooks(world, messages.flat());
  return { calls: last.calls, deathCount };
}

function isDone({ queue }: RecorderWorld): boolean {
  return queue.readyCount === 0 && queue.unacknowledgedCount === 0;
}

function dyingAt({ callIndex, isAfterEffect }: Death, onDeath: () => void): Partial<RecorderSettings> {
  let callCount = 0;
  let isDead = false;
  return {
    async intercept(name, run) {
      if (isSignOfLife(name) || name === 'leave') return run();
      const isHere = callCount === callIndex;
      callCount += 1;
      if (isDead || (isHere && !isAfterEffect)) return dieNow();
      const value = await run();
      return isHere ? dieNow() : value;
    },
  };
  function dieNow(): Promise<never> {
    if (!isDead) onDeath();
    isDead = true;
    return new Promise(() => {});
  }
}

async function expectRightBooks(world: RecorderWorld, lines: readonly string[]): Promise<void> {
  const stored = await world.storedRecords();
  const records = withoutDuplicates(stored);
  const { runs, conflictingIds } = await world.readCounters();
  const counters = runs.get(world.run);
  const told = { repeatedSends: counters?.repeatedSends, idConflicts: counters?.idConflicts };
  expect(records.map(({ smsId }) => smsId).sort()).toEqual([...'abcdefghi']);
  expect(booksOf(counters)).toEqual(booksByRecords(records));
  expect(told).toEqual(strayBooksByJournal(lines, records));
  expect(conflictingIds).toEqual(['i']);
  expect(counters?.announced).toBe(9);
  expect(world.queue.settledTwiceCount).toBe(0);
  expect(world.queue.rejected).toEqual([]);
}

/** Runs all rounds, a few at a time; says at which deaths the books were wrong. */
async function inEachRound(
  rounds: readonly (readonly Death[])[],
  makeObjects: () => ObjectStore | undefined = () => undefined,
): Promise<void> {
  const wrong: string[] = [];
  const waiting = [...rounds];
  const work = async () => {
    for (let deaths = waiting.shift(); deaths !== undefined; deaths = waiting.shift()) {
      await recordWith(deaths, makeObjects()).catch((error: unknown) => {
        wrong.push(`${JSON.stringify(deaths)}: ${String(error)}`);
      });
    }
  };
  await Promise.all(Array.from({ length: TOGETHER }, work));
  expect(wrong).toEqual([]);
}

const bothSidesOf = (callIndex: number): Death[] =>
  [false, true].map((isAfterEffect) => ({ callIndex, isAfterEffect }));
const upTo = (count: number): number[] => Array.from({ length: count }, (_, index) => index);

describe('a recorder', () => {
  it('that lives writes each outcome once and counts what it wrote', async () => {
    const { calls } = await recordWith([]);
    // More messages than the window holds, however many of them come at once.
    expect(calls.filter((name) => name === 'record').length).toBeGreaterThanOrEqual(2);
  });

  it('that dies between any two of its steps leaves books that are right once another has read the same', async () => {
    const { calls } = await recordWith([]);
    const callCount = calls.filter((name) => !isSignOfLife(name)).length;
    await inEachRound(upTo(callCount).flatMap((callIndex) => bothSidesOf(callIndex).map((death) => [death])));
  });

  it('may die while it takes over from one that died', async () => {
    const { calls } = await recordWith([]);
    // The first dies with outcomes claimed and no object stored, or with an object stored and not counted.
    const firstDeaths = bothSidesOf(calls.filter((name) => !isSignOfLife(name)).indexOf('put'));
    const rounds = firstDeaths.flatMap((first) =>
      upTo(12).flatMap((callIndex) => bothSidesOf(callIndex).map((second) => [first, second])),
    );
    await inEachRound(rounds, () => new MemoryObjectStore());
  });

  it('that died carries out nothing that was still to come', async () => {
    const world = await new RecorderWorld(stores, new MemoryObjectStore()).prepare();
    let carryOut = () => {};
    const isWaiting = new Promise<void>((isMet) => {
      const mayBeCarriedOut = new Promise<void>((resolve) => {
        carryOut = resolve;
      });
      const intercept: RecorderSettings['intercept'] = async (name, run) => {
        if (name !== 'put') return run();
        isMet();
        await mayBeCarriedOut;
        return run();
      };
      world.publish(outcomeLine(world, 'a', [attemptRecord(1, 'failed')]));
      world.start({ batchSize: 1, intercept });
    });
    await isWaiting;
    for (const recorder of world.recorders) await world.kill(recorder);
    carryOut();
    await new Promise((resolve) => setImmediate(resolve));
    expect(await world.storedRecords()).toEqual([]);
  });
});
