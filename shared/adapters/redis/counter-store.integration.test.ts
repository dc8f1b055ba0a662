/** What Redis does to many SMS with one command, or by their common head, must have the effect of one by one. */
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { Dice } from '../../../shared/rehearsal/dice.ts';
import { RealStores } from '../../../tests/kit/stores/real-stores.ts';
import { bucketOf } from '../../domain/histogram.ts';
import { outcomeObjectId } from '../../domain/outcome/outcome-object.ts';
import type { CounterEntry, CounterStore } from '../../ports/counter-store.ts';
import { redisKeysOf } from './keys.ts';

const BEGAN_AT_MS = Date.UTC(2026, 10, 22, 10, 0, 0);
const OBJECT = outcomeObjectId(BEGAN_AT_MS, 'r0', 1);
/** More than one call takes. */
const ENTRIES = 2_500;
const seed = Number(process.env.COUNTER_STORES_SEED ?? Date.now() % 1_000_000);
const CLAIMED = { kind: 'claimed' };
const KNOWN = entryOf(new Dice(seed), 'known', 'outcome');

let stores: RealStores;

beforeAll(async () => {
  stores = await new RealStores(inject('servers')).open();
});

afterAll(() => stores.close());

function entryOf(dice: Dice, smsId: string, kind: 'attempt' | 'outcome'): CounterEntry {
  const run = dice.pick(['demo', 'other', 'third']) ?? 'demo';
  const status = dice.pick(['sent', 'failed', 'parked'] as const) ?? 'sent';
  const attempt = {
    attempt: 1,
    startedAt: new Date(BEGAN_AT_MS + dice.below(100_000)).toISOString(),
    tookMs: dice.pick([0, 31, 32, dice.below(5_000), 2 ** dice.below(51)]) ?? 0,
    result: status === 'sent' ? ('sent' as const) : ('failed' as const),
  };
  if (kind === 'attempt') return { kind, smsId, run, attempt };
  const contentDigest = String(dice.below(10)).repeat(16);
  return { kind, outcome: { smsId, run, status, contentDigest, attempts: [attempt] }, objectId: OBJECT };
}

function drawEntries(): CounterEntry[] {
  const dice = new Dice(seed);
  return Array.from({ length: ENTRIES }, (_, index) =>
    entryOf(dice, `demo-${index}`, dice.isHit(0.5) ? 'attempt' : 'outcome'),
  );
}

async function countersOf(prefix: string): Promise<CounterStore> {
  const counters = stores.counters(prefix, 'r0');
  await counters.beginRebuild();
  await counters.endRebuild();
  return counters;
}

/** What Redis holds of SMS and runs; what was counted within seconds as one. */
async function stateOf(prefix: string): Promise<Record<string, unknown>> {
  const keys = redisKeysOf(prefix);
  const state: Record<string, unknown> = {};
  const list = async (name: string, key: string) => (await stores.command(name, key)) as string[];
  for (const key of await list('KEYS', keys.sms('*')))
    state[key.slice(prefix.length)] = await stores.command('GET', key);
  for (const run of await list('SMEMBERS', keys.runs))
    state[run] = pairsOf(await list('HGETALL', keys.run(run)));
  for (const key of await list('KEYS', `${prefix}:recent:*`))
    for (const [name, count] of Object.entries(pairsOf(await list('HGETALL', key))))
      state[name] = Number(state[name] ?? 0) + Number(count);
  return state;
}

function pairsOf(flat: readonly string[]): Record<string, string> {
  const fields = flat.filter((_, index) => index % 2 === 0);
  return Object.fromEntries(fields.map((field, index) => [field, flat[2 * index + 1] ?? '']));
}

test(`SMS counted or settled together are so as one by one (seed ${seed})`, async () => {
  const prefix = `together-${process.pid}-${Date.now().toString(36)}`;
  const [together, oneByOne] = [await countersOf(prefix), await countersOf(`${prefix}-apart`)];
  const entries = drawEntries();
  const ids = Array.from({ length: ENTRIES }, (_, index) => `demo-${index}`);

  for (const counters of [together, oneByOne]) expect(await counters.record([KNOWN])).toEqual([CLAIMED]);
  const answers = await together.record(entries);
  // Beside an SMS that is known already all others are looked at one by one.
  for (let index = 0; index < ENTRIES; index += 500)
    await oneByOne.record([KNOWN, ...entries.slice(index, index + 500)]);
  const counted = await stateOf(prefix);
  expect(counted).toEqual(await stateOf(`${prefix}-apart`));
  expect(answers).toEqual(entries.filter(({ kind }) => kind === 'outcome').map(() => CLAIMED));

  // As where the reply was lost.
  expect(await together.record(entries)).toEqual(answers);
  expect(await stateOf(prefix)).toEqual(counted);

  const strangers = await together.settle(OBJECT, ids);
  expect(strangers).toEqual((await Promise.all(ids.map((id) => oneByOne.settle(OBJECT, [id])))).flat());
  expect(strangers).toEqual(ids.filter((_, index) => entries[index]?.kind === 'attempt'));
  const settled = await stateOf(prefix);
  expect(settled).toEqual(await stateOf(`${prefix}-apart`));
  expect(await together.settle(OBJECT, [...ids, ...ids])).toEqual(strangers);
  expect(await stateOf(prefix)).toEqual(settled);
});

test('a sender learns from its sign of life how many senders live', async () => {
  const prefix = `living-${process.pid}-${Date.now()}`;
  const first = stores.counters(prefix, 'r1');
  await first.beginRebuild();
  await first.endRebuild();
  expect(first.livingSenders).toBe(1);
  await stores.counters(prefix, 'r2').signalLife(false);
  await first.signalLife(true);
  expect(first.livingSenders).toBe(2);
  // Its last sign of life was a minute ago.
  await stores.command('ZINCRBY', redisKeysOf(prefix).alive, -60, 'r2');
  await first.signalLife(true);
  expect(first.livingSenders).toBe(1);
});

test('what was recorded within a second is told with its failures, its processing time and its lateness', async () => {
  const prefix = `second-${process.pid}-${Date.now()}`;
  const counters = await countersOf(prefix);
  const failed = { attempt: 1, startedAt: '2026-11-22T10:00:00.000Z', tookMs: 30, result: 'failed' as const };
  const sent = { ...failed, attempt: 2, lateMs: 4, tookMs: 900, result: 'sent' as const };
  const told = (attempt: typeof failed | typeof sent): CounterEntry => ({
    kind: 'attempt',
    ...{ smsId: 'demo-000001', run: 'demo', attempt },
  });
  await counters.record([told(failed)]);
  // Told again, as after a lost confirm.
  await counters.record([told(failed), told(sent)]);
  const [key = ''] = (await stores.command('KEYS', `${prefix}:recent:*`)) as string[];
  expect(Number(await stores.command('TTL', key))).toBeGreaterThan(60);
  const state = await stateOf(prefix);
  expect(Object.fromEntries(Object.entries(state).filter(([name]) => name.startsWith('demo|')))).toEqual({
    ...{ 'demo|attempts': 2, 'demo|attemptsFailed': 1 },
    ...{ 'demo|processing:30': 1, [`demo|processing:${bucketOf(900)}`]: 1, 'demo|lateness:4': 1 },
  });
});

test('a sender tells why outcomes wait at it, until they wait no more or it has left', async () => {
  const prefix = `troubles-${process.pid}-${Date.now()}`;
  const counters = await countersOf(prefix);
  const troubles = async () => (await stores.readCounters(prefix)).recordingTroubles;
  await counters.signalLife(true, 'S3 does not answer');
  expect(await troubles()).toEqual(['S3 does not answer']);
  await counters.signalLife(true);
  expect(await troubles()).toEqual([]);
  await counters.signalLife(true, 'S3 does not answer');
  await counters.leave();
  expect(await stores.command('HLEN', redisKeysOf(prefix).troubles)).toBe(0);
});
