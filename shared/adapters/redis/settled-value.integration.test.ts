/** What Redis keeps of an SMS that has its outcome. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { RealStores } from '../../../tests/kit/stores/real-stores.ts';
import type { AttemptRecord } from '../../domain/outcome/attempt.ts';
import { OUTCOME_STATUSES, type OutcomeStatus } from '../../domain/outcome/outcome.ts';
import { outcomeObjectId } from '../../domain/outcome/outcome-object.ts';
import type { RunCounters } from '../../ports/counter-reader.ts';
import type { CounterEntry, CounterStore, OutcomeSummary } from '../../ports/counter-store.ts';
import { redisKeysOf } from './keys.ts';

const OPENED_AT_MS = Date.UTC(2026, 10, 22, 10, 0, 0);
const RECORDER = '0a1b2c3d4e';
const OBJECT = outcomeObjectId(OPENED_AT_MS, RECORDER, 12);
const EARLIER_OBJECT = outcomeObjectId(OPENED_AT_MS - 1, 'ffffffffff', 3);
const LATER_OBJECT = outcomeObjectId(OPENED_AT_MS, '1a1b2c3d4e', 1);
const CONTENT = '0123456789abcdef';
const OTHER_CONTENT = 'fedcba9876543210';
const ID = 'demo-000001';

let stores: RealStores;

beforeAll(async () => {
  stores = await new RealStores(inject('servers')).open();
});

afterAll(() => stores.close());

interface OutcomeParts {
  readonly smsId?: string;
  readonly run?: string;
  readonly status?: OutcomeStatus;
  readonly content?: string;
  readonly attempts?: readonly AttemptRecord[];
  readonly reason?: string;
}

function attempt(number: number, more: Partial<AttemptRecord> = {}): AttemptRecord {
  const startedAt = new Date(OPENED_AT_MS - 60_000 + number * 5_000).toISOString();
  return { attempt: number, startedAt, tookMs: 1_234, result: 'sent', ...more };
}

function outcome(parts: OutcomeParts = {}): OutcomeSummary {
  const { smsId = ID, run = 'demo', status = 'sent', content = CONTENT, attempts = [attempt(1)] } = parts;
  return { smsId, run, status, contentDigest: content, attempts, reason: parts.reason };
}

const told = (of: OutcomeSummary, objectId: string): CounterEntry => ({
  kind: 'outcome',
  outcome: of,
  objectId,
});

/** One pipeline in Redis. */
class Counted {
  readonly prefix = `settled-${randomUUID()}`;
  readonly keys = redisKeysOf(this.prefix);
  readonly store: CounterStore = stores.counters(this.prefix, RECORDER);

  async begin(): Promise<this> {
    await this.store.beginRebuild();
    await this.store.endRebuild();
    return this;
  }

  async settle(of: OutcomeSummary = outcome(), objectId: string = OBJECT): Promise<this> {
    await this.store.record([told(of, objectId)]);
    const reasons = new Map(of.reason === undefined ? [] : [[of.smsId, of.reason]]);
    expect(await this.store.settle(objectId, [of.smsId], reasons)).toEqual([]);
    return this;
  }

  value(smsId = ID): Promise<string> {
    return stores.command('GET', this.keys.sms(smsId)) as Promise<string>;
  }

  async write(value: string): Promise<void> {
    await stores.command('SET', this.keys.sms(ID), value, 'KEEPTTL');
  }

  async counters(run = 'demo'): Promise<RunCounters | undefined> {
    return (await stores.readCounters(this.prefix)).runs.get(run);
  }
}

test('an SMS sent at its first attempt is kept in the object of its key', async () => {
  const counted = await new Counted().begin();
  await counted.settle();
  expect((await counted.value()).length).toBeLessThanOrEqual(44);
  expect(await stores.command('OBJECT', 'ENCODING', counted.keys.sms(ID))).toBe('embstr');
});

test('an SMS stored in S3 and unknown to Redis is kept alike', async () => {
  const [settled, restored] = [await new Counted().begin(), await new Counted().begin()];
  await settled.settle();
  await restored.store.restore(OBJECT, [outcome()]);
  expect(await restored.value()).toBe(await settled.value());
});

test.each([
  ['demo', 'demo-a', 'an id that does not tell its run'],
  ['demo', 'other-000001', 'an id that looks like that of another run'],
  ['demo', 'demo-a-000001', 'an id that looks like that of a longer run'],
  ['a.b', 'a-b-000001', 'a run with a dot'],
  ['demo-2', 'demo-2-000001', 'a run that ends in a number'],
  ['demo', 'demo-1234567890', 'a number that is too long'],
  ['foreign', '6f1c2a3e-9d4b-4c5a-8e7f-000000000001', 'an id of a foreign client'],
  ['foreign', 'order-12345', 'an id of a foreign client that looks like that of a run'],
  ['demo', '6f1c2a3e-9d4b-4c5a-8e7f-000000000001', 'an id that looks like that of a foreign client'],
])('SMS of run %s with id %s belong to their run: %s', async (run, smsId) => {
  const counted = await new Counted().begin();
  await counted.settle(outcome({ run, smsId }));
  expect(await counted.store.record([told(outcome({ run, smsId }), LATER_OBJECT)])).toEqual([
    { kind: 'recorded' },
  ]);
  const elsewhere = outcome({ run: 'elsewhere', smsId });
  expect(await counted.store.record([told(elsewhere, LATER_OBJECT)])).toEqual([{ kind: 'known' }]);
  await counted.store.restore(EARLIER_OBJECT, [elsewhere]);
  expect(await counted.counters(run)).toMatchObject({ met: 0, sent: 0, attempts: 0, processingMsSum: 0 });
  expect(await counted.counters('elsewhere')).toMatchObject({ met: 1, sent: 1, attempts: 1, idConflicts: 0 });
});

test('SMS of several runs are settled together, each with its run', async () => {
  const counted = await new Counted().begin();
  const ids = ['demo-000001', 'other-000001', 'x', 'demo-000002', 'y'];
  const runs = ['demo', 'demo', 'foreign', 'foreign', 'other'];
  const outcomes = ids.map((smsId, index) => outcome({ smsId, run: runs[index] ?? '' }));
  await counted.store.record(outcomes.map((each) => told(each, OBJECT)));
  expect(await counted.store.settle(OBJECT, ids)).toEqual([]);
  const kept = await Promise.all(ids.map((id) => counted.value(id)));
  expect(kept.map((value) => value.split('|')[1])).toEqual(['', 'demo', '', 'foreign', 'other']);
  const answers = await counted.store.record(outcomes.map((each) => told(each, LATER_OBJECT)));
  expect(answers).toEqual(ids.map(() => ({ kind: 'recorded' })));
});

test.each(OUTCOME_STATUSES)('an SMS that was %s is taken back as that', async (status) => {
  const counted = await new Counted().begin();
  await counted.settle(outcome({ status }));
  expect((await counted.value()).length).toBeLessThanOrEqual(44);
  expect(await counted.counters()).toMatchObject({ met: 1, [status]: 1 });
  await counted.store.restore(EARLIER_OBJECT, [outcome({ status, run: 'other' })]);
  expect(await counted.counters()).toMatchObject({ met: 0, [status]: 0 });
  expect(await counted.counters('other')).toMatchObject({ met: 1, [status]: 1 });
});

const FAILED_FOR = (reason: string) => outcome({ status: 'failed', reason });

test('the reason of an SMS that failed is counted once, and again where another record is chosen', async () => {
  const counted = await new Counted().begin();
  await counted.settle(FAILED_FOR('timeout'));
  await counted.store.settle(OBJECT, [ID], new Map([[ID, 'timeout']]));
  await counted.store.restore(OBJECT, [FAILED_FOR('timeout')]);
  await counted.store.restore(LATER_OBJECT, [FAILED_FOR('blocked')]);
  expect((await counted.counters())?.failedByReason).toEqual(new Map([['timeout', 1]]));
  await counted.store.restore(EARLIER_OBJECT, [FAILED_FOR('expired')]);
  expect((await counted.counters())?.failedByReason).toEqual(new Map([['expired', 1]]));
  await counted.store.restore(outcomeObjectId(OPENED_AT_MS - 2, RECORDER, 1), [outcome()]);
  expect(await counted.counters()).toMatchObject({ failed: 0, sent: 1, failedByReason: new Map() });
});

test('the reason moves with its SMS to another run', async () => {
  const counted = await new Counted().begin();
  await counted.settle(FAILED_FOR('timeout'));
  await counted.store.restore(EARLIER_OBJECT, [{ ...FAILED_FOR('timeout'), run: 'other' }]);
  expect((await counted.counters())?.failedByReason).toEqual(new Map());
  expect((await counted.counters('other'))?.failedByReason).toEqual(new Map([['timeout', 1]]));
});

test('where an older version counted an SMS as failed no reason is counted, nor taken back', async () => {
  const counted = await new Counted().begin();
  await counted.store.record([told(FAILED_FOR('timeout'), OBJECT)]);
  await counted.store.settle(OBJECT, [ID]);
  expect(await counted.counters()).toMatchObject({ failed: 1, failedByReason: new Map() });
  await counted.store.restore(EARLIER_OBJECT, [FAILED_FOR('timeout')]);
  expect(await counted.counters()).toMatchObject({ failed: 1, failedByReason: new Map([['timeout', 1]]) });
});

test('of many reasons the first 100 and our own are counted by name, the others together', async () => {
  const counted = await new Counted().begin();
  const reasons = Array.from({ length: 130 }, (_, index) => (index === 120 ? 'expired' : `code ${index}`));
  const outcomes = reasons.map((reason, index) =>
    outcome({ smsId: `demo-${index}`, status: 'failed', reason }),
  );
  const reasonById = new Map(outcomes.map(({ smsId, reason = '' }) => [smsId, reason]));
  await counted.store.record(outcomes.map((each) => told(each, OBJECT)));
  await counted.store.settle(OBJECT, [...reasonById.keys()], reasonById);
  const { failed, failedByReason } = (await counted.counters()) as RunCounters;
  expect(failedByReason.size).toBe(102);
  expect([failedByReason.get('expired'), failedByReason.get('other reasons')]).toEqual([1, 29]);
  expect([...failedByReason.values()].reduce((sum, count) => sum + count, 0)).toBe(failed);
  await counted.store.restore(EARLIER_OBJECT, outcomes.slice(-1));
  expect((await counted.counters())?.failedByReason).toEqual(failedByReason);
});

test('settled once more for the same object it is counted once', async () => {
  const counted = await new Counted().begin();
  await counted.settle();
  expect(await counted.store.settle(OBJECT, [ID])).toEqual([]);
  expect(await counted.store.settle(LATER_OBJECT, [ID])).toEqual([ID]);
  expect(await counted.counters()).toMatchObject({ sent: 1 });
});

const FAILED = { result: 'failed', reason: 'timeout' } as const;
const LATE_ATTEMPTS = [
  attempt(1, FAILED),
  attempt(2, { ...FAILED, lateMs: -3, tookMs: 0 }),
  attempt(3, { lateMs: 40 }),
];

/** What is told about an SMS that has its outcome, and what must be the same whoever wrote what Redis keeps of it. */
const TOLD_LATER: [string, (counters: CounterStore) => Promise<unknown>][] = [
  ['the outcome again', (counters) => counters.record([told(outcome(), LATER_OBJECT)])],
  [
    'its attempt again',
    (counters) => counters.record([{ kind: 'attempt', smsId: ID, run: 'demo', attempt: attempt(1) }]),
  ],
  [
    'its attempt at another start',
    (counters) =>
      counters.record([
        {
          kind: 'attempt',
          smsId: ID,
          run: 'demo',
          attempt: { ...attempt(1), startedAt: '2026-11-22T09:59:00.000Z' },
        },
      ]),
  ],
  [
    'another content, twice',
    async (counters) => [
      await counters.record([told(outcome({ content: OTHER_CONTENT }), LATER_OBJECT)]),
      await counters.record([told(outcome({ content: OTHER_CONTENT }), LATER_OBJECT)]),
    ],
  ],
  [
    'another content from an earlier object, then each content',
    async (counters) => {
      await counters.record([told(outcome({ content: OTHER_CONTENT }), LATER_OBJECT)]);
      await counters.restore(EARLIER_OBJECT, [outcome({ content: OTHER_CONTENT })]);
      await counters.record([
        told(outcome(), LATER_OBJECT),
        told(outcome({ content: OTHER_CONTENT }), LATER_OBJECT),
      ]);
    },
  ],
  [
    'other attempts from an earlier object',
    (counters) =>
      counters.restore(EARLIER_OBJECT, [
        outcome({ status: 'failed', attempts: [attempt(1, { tookMs: 7 })] }),
      ]),
  ],
  [
    'other attempts from a later object',
    (counters) => counters.restore(LATER_OBJECT, [outcome({ attempts: LATE_ATTEMPTS })]),
  ],
  ['the same object', (counters) => counters.restore(OBJECT, [outcome({ attempts: LATE_ATTEMPTS })])],
  ['another run', (counters) => counters.record([told(outcome({ run: 'other' }), LATER_OBJECT)])],
  ['settled again', (counters) => counters.settle(OBJECT, [ID])],
  ['settled for another object', (counters) => counters.settle(LATER_OBJECT, [ID])],
];

const TOKENS = '1:mi9wypso:1234:f:f';

test.each(TOLD_LATER)('an older version kept it: %s is counted as where this one did', async (_, tell) => {
  const [own, older] = [await new Counted().begin(), await new Counted().begin()];
  for (const each of [own, older]) await each.settle(outcome({ attempts: LATE_ATTEMPTS }));
  const tokens = (await own.value()).split('|')[5] ?? TOKENS;
  await older.write(`s|demo|${OBJECT}|sent|${CONTENT}|${tokens}|`);
  expect((await own.value()).length).toBeLessThan((await older.value()).length);
  expect(await tell(older.store)).toEqual(await tell(own.store));
  for (const run of ['demo', 'other']) expect(await older.counters(run)).toEqual(await own.counters(run));
  expect((await older.value()).split('|').slice(5)).toEqual((await own.value()).split('|').slice(5));
});

test('a conflict that an older version told is not told again', async () => {
  const counted = await new Counted().begin();
  await counted.settle();
  await counted.write(`s|demo|${OBJECT}|sent|${CONTENT}||;!${OTHER_CONTENT};`);
  await counted.store.record([told(outcome({ content: OTHER_CONTENT, attempts: [] }), LATER_OBJECT)]);
  expect((await counted.counters())?.idConflicts ?? 0).toBe(0);
});

test('attempts are taken back to the last millisecond where an earlier object tells others', async () => {
  const [taken, plain] = [await new Counted().begin(), await new Counted().begin()];
  const chosen = outcome({ status: 'failed', attempts: [attempt(1, { ...FAILED, tookMs: 33 })] });
  await taken.settle(outcome({ attempts: LATE_ATTEMPTS }));
  await taken.store.restore(EARLIER_OBJECT, [chosen]);
  await plain.store.restore(EARLIER_OBJECT, [chosen]);
  const { repeatedSends, maxLatenessMs: _, ...counters } = (await taken.counters()) as RunCounters;
  const { repeatedSends: none, maxLatenessMs: __, ...expected } = (await plain.counters()) as RunCounters;
  expect([repeatedSends, none]).toEqual([2, 0]);
  const withoutNothing = (of: object) =>
    JSON.stringify(of, (___, value) =>
      value instanceof Map ? [...value].filter(([, count]) => count !== 0) : value,
    );
  expect(withoutNothing(counters)).toBe(withoutNothing(expected));
});

test.each([
  [0, 'older', false],
  [0.5, 'gone', true],
])(
  'where Redis was away from all recorders (score less %d), the %s one is told as before',
  async (less, name, isShort) => {
    const counted = await new Counted().begin();
    const second = Math.floor(Date.now() / 1_000);
    await stores.command('DEL', counted.keys.recorders);
    await stores.command('ZADD', counted.keys.recorders, second - 100 - less, name);
    await counted.settle();
    expect((await counted.value()).length <= 44).toBe(isShort);
  },
);

test('beside a recorder of an older version it is kept as that one reads it', async () => {
  const counted = await new Counted().begin();
  const second = Math.floor(Date.now() / 1_000);
  await stores.command('ZADD', counted.keys.recorders, second, 'older');
  await counted.settle();
  expect(await counted.value()).toMatch(
    new RegExp(`^s\\|demo\\|${OBJECT}\\|sent\\|${CONTENT}\\|1:\\w+:1234::s\\|$`),
  );
  await counted.store.restore(OBJECT, [outcome({ smsId: 'demo-000002' })]);
  expect(await counted.value('demo-000002')).toBe(await counted.value());

  await stores.command('ZREM', counted.keys.recorders, 'older');
  await counted.settle(outcome({ smsId: 'demo-000003' }));
  expect((await counted.value('demo-000003')).length).toBeLessThanOrEqual(44);
});
