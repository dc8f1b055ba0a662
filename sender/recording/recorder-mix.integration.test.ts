/**
 * Random journals told to random recorders among random faults: whatever happens, the books are right in the end.
 * A failure names its seed; run that one again with RECORDER_MIX_SEED=<seed>.
 * RECORDER_MIX_ROUNDS=1000 plays more of them.
 */

import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import { ServerUnavailableError } from '../../shared/errors.ts';
import { Dice } from '../../shared/rehearsal/dice.ts';
import type { Intercept } from '../../tests/kit/intercepted.ts';
import {
  attemptLine,
  attemptRecord,
  booksByRecords,
  booksOf,
  outcomeLine,
  type RecorderUnderTest,
  RecorderWorld,
  strayBooksByJournal,
} from '../../tests/kit/recorder-world.ts';
import { withoutDuplicates } from '../../tests/kit/stored-records.ts';
import { MemoryObjectStore } from '../../tests/kit/stores/memory-object-store.ts';
import { RealStores } from '../../tests/kit/stores/real-stores.ts';

const ROUNDS = Number(process.env.RECORDER_MIX_ROUNDS ?? 60);
const TOGETHER = 12;
const SMS_COUNT = 12;
const givenSeed = process.env.RECORDER_MIX_SEED;
const firstSeed = givenSeed === undefined ? Date.now() % 1_000_000 : Number(givenSeed);

/** What one sender tells of an SMS; another execution of the same SMS is a fork. */
function tellStory(
  world: RecorderWorld,
  dice: Dice,
  smsId: string,
  execution: number,
  text: string,
): string[] {
  const count = dice.below(4);
  const last = dice.isHit(0.6) ? 'sent' : 'failed';
  const attempts = Array.from({ length: count }, (_, index) =>
    attemptRecord(
      index + 1,
      index === count - 1 ? last : (dice.pick(['failed', 'unknown'] as const) ?? 'failed'),
      dice.isHit(0.5) ? execution : 0,
    ),
  );
  // An attempt may be told in the history only: its own entry was not confirmed when its sender died.
  const told = attempts.slice(0, -1).filter(() => dice.isHit(0.8));
  return [
    ...told.map((attempt) => attemptLine(world, smsId, attempt)),
    outcomeLine(world, smsId, attempts, { text }),
  ];
}

function describeJournal(world: RecorderWorld, dice: Dice): string[][] {
  const lines = Array.from({ length: SMS_COUNT }, (_, index) => `m-${index}`).flatMap((smsId) => [
    ...tellStory(world, dice, smsId, 0, 'hello'),
    ...(dice.isHit(0.3) ? tellStory(world, dice, smsId, 1, dice.isHit(0.2) ? 'bye' : 'hello') : []),
  ]);
  const waiting = dice.shuffled(lines);
  const messages: string[][] = [];
  while (waiting.length > 0) messages.push(waiting.splice(0, 1 + dice.below(4)));
  return [...messages, ...messages.filter(() => dice.isHit(0.2))];
}

/** Calls that fail before or after their effect, or take their time; until it is over. */
function faultyStores(dice: Dice, fate: { isOver: boolean }): Intercept {
  return async (_, run) => {
    const dies = fate.isOver ? 1 : dice.below(100) / 100;
    if (dies < 0.08) throw away('refused');
    if (dies < 0.13) await sleep(dice.below(5));
    const value = await run();
    if (dies >= 0.13 && dies < 0.21) throw away('reply lost');
    return value;
  };
}

async function playRound(stores: RealStores, seed: number): Promise<void> {
  const dice = new Dice(seed);
  const world = await new RecorderWorld(stores, new MemoryObjectStore()).prepare();
  const messages = describeJournal(world, dice);
  const fate = { isOver: false, killCount: 0, isRedisLost: false };
  const living: RecorderUnderTest[] = [];
  const startOne = () => {
    const settings = { batchSize: 1 + dice.below(4), prefetchCount: 1 + dice.below(6) };
    living.push(world.start({ ...settings, intercept: faultyStores(dice, fate) }));
  };
  startOne();
  if (dice.isHit(0.7)) startOne();
  const isRedisToBeLost = dice.isHit(0.3);
  for (const lines of messages) {
    world.publish(...lines);
    for (const recorder of living) await recorder.passTime(dice.below(400));
    await sleep(dice.below(3));
    if (dice.isHit(0.1)) dice.pick(living)?.source.breakChannel();
    if (dice.isHit(0.12)) {
      const [dying] = living.splice(dice.below(living.length), 1);
      fate.killCount += 1;
      if (dying !== undefined) await world.kill(dying);
      startOne();
    }
    if (isRedisToBeLost && !fate.isRedisLost && dice.isHit(0.1)) {
      fate.isRedisLost = true;
      await stores.forget(world.prefix);
    }
  }
  fate.isOver = true;
  await world.untilAcknowledged();
  const areValid = async () => (await world.readCounters()).areValid;
  await world.until(areValid);
  if (fate.isRedisLost && fate.killCount > 0) {
    // What the dead one put after the keys were listed, nobody knows of, where another outcome was told of the SMS meanwhile.
    await stores.forget(world.prefix);
    await world.until(areValid);
  }
  await expectRightBooks(world, messages.flat(), fate);
}

async function expectRightBooks(
  world: RecorderWorld,
  lines: readonly string[],
  { killCount, isRedisLost }: { killCount: number; isRedisLost: boolean },
): Promise<void> {
  const stored = await world.storedRecords();
  const records = withoutDuplicates(stored);
  const counters = (await world.readCounters()).runs.get(world.run);
  expect(records.length).toBe(SMS_COUNT);
  expect(booksOf(counters)).toEqual(booksByRecords(records));
  expect(world.queue.settledTwiceCount + world.queue.rejected.length).toBe(0);
  if (killCount === 0 && !isRedisLost) expect(stored.length).toBe(records.length);
  if (isRedisLost) return;
  const { repeatedSends, idConflicts } = counters ?? {};
  expect({ repeatedSends, idConflicts }).toEqual(strayBooksByJournal(lines, records));
}

function away(message: string): Error {
  return new ServerUnavailableError(message, { isRefusal: false });
}

let stores: RealStores;

beforeAll(async () => {
  stores = await new RealStores(inject('servers')).open();
});

afterAll(() => stores.close());

it(`the books are right after ${ROUNDS} rounds of random faults (seeds from ${firstSeed})`, async () => {
  const count = givenSeed === undefined ? ROUNDS : 1;
  const seeds = Array.from({ length: count }, (_, index) => firstSeed + index);
  const wrong: string[] = [];
  const play = async () => {
    for (let seed = seeds.shift(); seed !== undefined; seed = seeds.shift()) {
      await playRound(stores, seed).catch((error: unknown) => wrong.push(`seed ${seed}: ${String(error)}`));
    }
  };
  await Promise.all(Array.from({ length: TOGETHER }, play));
  expect(wrong).toEqual([]);
});
