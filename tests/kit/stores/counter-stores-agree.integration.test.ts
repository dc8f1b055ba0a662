/**
 * The counters in memory are those of the Lua: random commands of several recorders are given to both, and whatever
 * they answer and hold is compared. A failure names its seed; run that one again with COUNTER_STORES_SEED=<seed>.
 */
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import { redisKeysOf } from '../../../shared/adapters/redis/keys.ts';
import { objectMarkOf } from '../../../shared/adapters/redis/object-mark.ts';
import { runToldBy } from '../../../shared/adapters/redis/told-run.ts';
import type { AttemptRecord } from '../../../shared/domain/outcome/attempt.ts';
import type { RunAnnouncement } from '../../../shared/domain/outcome/outcome.ts';
import { outcomeObjectId } from '../../../shared/domain/outcome/outcome-object.ts';
import type { SenderSettings } from '../../../shared/domain/sender-settings.ts';
import { RedialError } from '../../../shared/errors.ts';
import type {
  CounterEntry,
  CounterStore,
  OutcomeSummary,
  OutcomeSums,
  StoredOutcome,
} from '../../../shared/ports/counter-store.ts';
import { Dice } from '../../../shared/rehearsal/dice.ts';
import { MemoryCounters } from '../../../shared/rehearsal/memory-counters.ts';
import { RealStores } from './real-stores.ts';

const SEEDS = 30;
const COMMANDS = 60;
const COMMANDS_PER_LOOK = 6;
const RECORDERS = ['r0', 'r1', 'r2'];
const BEGAN_AT_MS = Date.UTC(2026, 10, 22, 10, 0, 0);
const KEEP_TIME_MS = 4 * 3_600_000;
/**
 * Far from any limit, whatever the few milliseconds of the test add: 15 s of a heartbeat, a minute of a still run, the hour
 * of what is restored, KEEP_TIME.
 */
const PASSING_SECONDS = [11, 22, 4_000, 20_000];
const HEARTBEAT_SECONDS = 11;
const DIGESTS = ['0123456789abcdef', 'fedcba9876543210'] as const;
const STATUS_OF_LETTER: Readonly<Record<string, string>> = {
  s: 'sent',
  f: 'failed',
  p: 'parked',
  k: 'known',
};
const SETTINGS: SenderSettings = {
  meanProcessingSeconds: 1,
  processingTimeDistribution: 'constant',
  failureRate: 0.5,
  permanentFailureShare: 0,
  retrySchedule: '1s',
  concurrency: 1,
  seed: 1,
};
const givenSeed = process.env.COUNTER_STORES_SEED;
const firstSeed = givenSeed === undefined ? Date.now() % 1_000_000 : Number(givenSeed);

let stores: RealStores;

beforeAll(async () => {
  stores = await new RealStores(inject('servers')).open();
});

afterAll(() => stores.close());

/** A step for both: what one recorder asks for, or what happens to Redis. */
type Command =
  | {
      readonly name: string;
      readonly recorder: string;
      readonly ask: (store: CounterStore) => Promise<unknown>;
    }
  | { readonly name: 'time passes'; readonly seconds: number }
  | { readonly name: 'emptied' | 'replaced' | 'written by an older version' | 'a minute of heartbeats' };

function drawCommand(dice: Dice): Command {
  const recorder = dice.pick(RECORDERS) ?? 'r0';
  const ask = (name: string, call: (store: CounterStore) => Promise<unknown>): Command => ({
    name: `${recorder} ${name}`,
    recorder,
    ask: call,
  });
  const roll = dice.below(100);
  if (roll < 38) return drawRecord(dice, recorder, ask);
  if (roll < 45) return drawDoneRun(dice, recorder, ask);
  if (roll < 60) {
    const [objectId, ids] = [drawObjectId(dice, recorder), drawIds(dice)];
    const reasons = drawReasons(dice, ids);
    return ask(`settle ${objectId} ${ids} ${[...reasons]}`, (store) => store.settle(objectId, ids, reasons));
  }
  if (roll < 72) {
    const [objectId, outcomes] = [drawObjectId(dice), drawIds(dice).map((id) => drawOutcome(dice, id))];
    return dice.isHit(0.7)
      ? ask(`restore ${objectId} ${JSON.stringify(outcomes)}`, (store) => store.restore(objectId, outcomes))
      : drawRebuild(dice, objectId, outcomes, ask);
  }
  if (roll < 75) {
    const [objectId, ids] = [drawObjectId(dice, recorder), drawIds(dice)];
    return ask(`abandon ${objectId} ${ids}`, (store) => store.abandon(objectId, ids));
  }
  if (roll < 78) {
    const isRecording = dice.isHit(0.7);
    return ask(`signalLife ${isRecording}`, (store) => store.signalLife(isRecording));
  }
  if (roll < 79) return ask('leave', (store) => store.leave());
  if (roll < 80) return ask('tidy', (store) => store.tidy());
  if (roll < 84) return { name: 'a minute of heartbeats' };
  if (roll < 85) return ask('begin rebuild', (store) => store.beginRebuild());
  if (roll < 87) {
    const announcement = drawAnnouncement(dice);
    return ask('rebuild announcement', (store) => store.rebuildAnnouncement(announcement));
  }
  if (roll < 88) return ask('prolong rebuild', (store) => store.prolongRebuild());
  if (roll < 89) return ask('abandon rebuild', (store) => store.abandonRebuild());
  if (roll < 90) return ask('end rebuild', (store) => store.endRebuild());
  if (roll < 94) return ask('rebuild all', (store) => store.beginRebuild().then(() => store.endRebuild()));
  if (roll < 97) return { name: 'time passes', seconds: dice.pick(PASSING_SECONDS) ?? 6 };
  if (roll < 99) return { name: 'written by an older version' };
  return { name: dice.isHit(0.5) ? 'emptied' : 'replaced' };
}

/** A rebuild of some objects; an SMS may come again in each, as itself or, after KEEP_TIME, as a new one. */
function drawRebuild(
  dice: Dice,
  objectId: string,
  outcomes: readonly OutcomeSummary[],
  ask: (name: string, call: (store: CounterStore) => Promise<unknown>) => Command,
): Command {
  // Long ago or far ahead: Redis' clock does not know of the time that passes here.
  const finished = () => ({
    finishedAtMs: Date.now() - (dice.pick([-9_000, -8_999.5, 20, 20.5, 23]) ?? 0) * KEEP_TIME_MS,
  });
  const objects = [objectId, drawObjectId(dice), drawObjectId(dice)].map((id): [string, StoredOutcome[]] => [
    id,
    outcomes.map((outcome) => ({ ...outcome, ...finished() })),
  ]);
  const sums = [drawSums(dice), drawSums(dice)];
  const isBegun = dice.isHit(0.7);
  return ask(`rebuild ${JSON.stringify(objects)}, sums ${isBegun}`, async (store) => {
    if (isBegun) await store.beginRebuild();
    for (const [id, stored] of objects) await store.rebuildOutcomes(id, stored);
    await store.rebuildSums(sums);
  });
}

function drawSums(dice: Dice): OutcomeSums {
  const counts = () => new Map([[dice.below(40), dice.below(1_000)]]);
  return {
    ...{ run: drawRun(dice), met: dice.below(9), sent: dice.below(9), failed: dice.below(9), parked: 0 },
    known: dice.below(9),
    ...{ attempts: dice.below(99), attemptsFailed: dice.below(9), attemptsUnknown: dice.below(9) },
    failedByReason: new Map(dice.isHit(0.5) ? [[drawReason(dice), dice.below(9)]] : []),
    processingMsSum: dice.below(2 ** 31),
    ...{ attemptsByNumber: counts(), processingBuckets: counts(), latenessBuckets: counts() },
    maxLatenessMs: dice.isHit(0.5) ? dice.below(50_000) : undefined,
  };
}

function drawRecord(
  dice: Dice,
  recorder: string,
  ask: (name: string, call: (store: CounterStore) => Promise<unknown>) => Command,
): Command {
  // SMS that nobody knows are told together: most calls of a busy recorder are about no others.
  const idOf = dice.isHit(0.5) ? () => drawId(dice) : () => drawNewId(dice);
  const entries = Array.from({ length: dice.below(dice.pick([5, 12]) ?? 5) }, (): CounterEntry => {
    const roll = dice.below(10);
    if (roll === 0) return { kind: 'accepted', announcement: drawAnnouncement(dice) };
    if (roll === 1) return { kind: 'sender', sender: recorder, settings: SETTINGS };
    if (roll < 5) {
      const attempt = drawAttempt(dice, dice.pick([1, 1, 2, 3]) ?? 1);
      return { kind: 'attempt', smsId: idOf(), run: drawRun(dice), attempt };
    }
    const instead = dice.isHit(0.3) ? { insteadOfObjectId: drawObjectId(dice) } : {};
    return {
      kind: 'outcome',
      outcome: drawOutcome(dice, idOf()),
      objectId: drawObjectId(dice, recorder),
      ...instead,
    };
  });
  const isReplyLost = dice.isHit(0.2);
  return ask(`record ${JSON.stringify(entries)}${isReplyLost ? ' twice' : ''}`, async (store) => {
    if (isReplyLost) await store.record(entries);
    return store.record(entries);
  });
}

/** An SMS of its own run that has its outcome at once: nothing is in progress there. */
function drawDoneRun(
  dice: Dice,
  recorder: string,
  ask: (name: string, call: (store: CounterStore) => Promise<unknown>) => Command,
): Command {
  const run = `done-${dice.below(3)}`;
  const smsId = `${run}-${dice.below(1_000)}`;
  const objectId = drawObjectId(dice, recorder);
  const outcome = { ...drawOutcome(dice, smsId), run };
  const reasons = outcome.reason === undefined ? {} : { [smsId]: outcome.reason };
  const announcement = { ...drawAnnouncement(dice), run, accepted: 1, acceptedUpTo: 1 };
  const entries: CounterEntry[] = [
    { kind: 'outcome', outcome, objectId },
    ...(dice.isHit(0.5) ? [{ kind: 'accepted' as const, announcement }] : []),
  ];
  return ask(`record and settle ${JSON.stringify(entries)}`, async (store) => {
    const answers = await store.record(entries);
    return [answers, await store.settle(objectId, [smsId], new Map(Object.entries(reasons)))];
  });
}

function drawAttempt(dice: Dice, attempt: number): AttemptRecord {
  const execution = dice.below(3);
  const startedAt = new Date(BEGAN_AT_MS + attempt * 1_000 + execution).toISOString();
  const late = dice.isHit(0.5) ? { lateMs: dice.pick([-3, 0, 31, 32, 1_000, 2 ** 50]) ?? 0 } : {};
  const result = dice.pick(['failed', 'failed', 'unknown', 'sent', 'sent']) ?? 'sent';
  return { attempt, startedAt, ...late, tookMs: dice.pick([0, 33, 47, 100_000, 2 ** 50]) ?? 0, result };
}

function drawOutcome(dice: Dice, smsId: string): OutcomeSummary {
  const attempts = Array.from({ length: dice.pick([0, 1, 1, 2, 3]) ?? 1 }, (_, index) =>
    drawAttempt(dice, index + 1),
  );
  const status = dice.pick(['sent', 'failed', 'parked'] as const) ?? 'sent';
  return {
    smsId,
    run: drawRun(dice),
    status,
    contentDigest: dice.isHit(0.8) ? DIGESTS[0] : DIGESTS[1],
    attempts,
    reason: status === 'failed' && dice.isHit(0.9) ? drawReason(dice) : undefined,
  };
}

/** So many that some have no name of their own any more. */
function drawReason(dice: Dice): string {
  return dice.pick(['expired', 'timeout', 'carrier unavailable', `code ${dice.below(150)}`]) ?? 'timeout';
}

function drawReasons(dice: Dice, ids: readonly string[]): ReadonlyMap<string, string> {
  return new Map(dice.isHit(0.5) ? ids.map((id) => [id, drawReason(dice)]) : []);
}

function drawAnnouncement(dice: Dice): RunAnnouncement {
  const accepted = dice.below(20);
  const input = dice.isHit(0.9) ? 'generated' : 'file:abc';
  return { run: drawRun(dice), queue: 'q', accepted, acceptedUpTo: dice.below(accepted + 1), input, at: '' };
}

function drawObjectId(dice: Dice, recorder = dice.pick(RECORDERS) ?? 'r0'): string {
  const sequence = dice.between(1, 3);
  return outcomeObjectId(BEGAN_AT_MS + sequence * 1_000, recorder, sequence);
}

function drawRun(dice: Dice): string {
  return dice.pick(['demo', 'demo', 'demo', 'demo', 'demo', 'demo', 'demo', 'other', 'foreign']) ?? 'demo';
}

function drawId(dice: Dice): string {
  return dice.pick(['demo-000001', 'demo-000002', 'other-000001', 'demo-a', 'a']) ?? 'a';
}

/** Mostly met for the first time, now and then for the second. */
function drawNewId(dice: Dice): string {
  return `demo-${dice.below(200) + 3}`;
}

function drawIds(dice: Dice): string[] {
  return Array.from({ length: dice.below(4) }, () => (dice.isHit(0.8) ? drawId(dice) : drawNewId(dice)));
}

/** Both stores, and one clock that can be moved. */
class BothStores {
  readonly #prefix: string;
  readonly #memory: MemoryCounters;
  readonly #recorders: ReadonlyMap<string, { readonly real: CounterStore; readonly memory: CounterStore }>;
  #passedMs = 0;

  constructor(seed: number) {
    this.#prefix = `agree-${process.pid}-${Date.now().toString(36)}-${seed}`;
    this.#memory = new MemoryCounters(() => Date.now() + this.#passedMs, KEEP_TIME_MS);
    this.#recorders = new Map(
      RECORDERS.map((id) => [
        id,
        { real: stores.counters(this.#prefix, id, KEEP_TIME_MS), memory: this.#memory.store(id) },
      ]),
    );
  }

  /** What both say, as text. */
  async give(command: Command): Promise<{ readonly real: string; readonly memory: string }> {
    if ('ask' in command) {
      const recorder = this.#recorders.get(command.recorder);
      if (recorder === undefined) throw new Error(`who is ${command.recorder}?`);
      return {
        real: await sayOf(command.ask(recorder.real)),
        memory: await sayOf(command.ask(recorder.memory)),
      };
    }
    if (command.name === 'a minute of heartbeats') {
      const said = { real: '', memory: '' };
      for (let beats = 0; beats < 7; beats += 1) {
        if (beats > 0) await this.#letPass(HEARTBEAT_SECONDS);
        for (const { real, memory } of this.#recorders.values()) {
          said.real += await sayOf(real.tidy());
          said.memory += await sayOf(memory.tidy());
        }
      }
      return said;
    }
    if (command.name === 'time passes') await this.#letPass(command.seconds);
    else if (command.name === 'written by an older version') await this.#lengthen();
    else if (command.name === 'emptied') {
      await stores.forget(this.#prefix);
      this.#memory.lose();
    } else {
      const { generation, rebuild } = redisKeysOf(this.#prefix);
      await stores.command('SET', generation, 'another process', 'XX');
      await stores.command('SET', rebuild, 'r0/1/another process', 'XX', 'KEEPTTL');
      this.#memory.restart();
    }
    return { real: '', memory: '' };
  }

  /** Redis has no clock to be moved: what it dates is made older instead. */
  async #letPass(seconds: number): Promise<void> {
    this.#passedMs += seconds * 1_000;
    const keys = redisKeysOf(this.#prefix);
    for (const key of [keys.alive, keys.recorders, keys.tidying, keys.changedRuns, keys.summedRuns])
      for (const member of await this.#list('ZRANGE', key, 0, -1))
        await stores.command('ZINCRBY', key, -seconds, member);
    if ((await stores.command('HEXISTS', keys.total, 'since')) === 1)
      await stores.command('HINCRBY', keys.total, 'since', -seconds);
    const mortal = [...(await this.#list('KEYS', keys.sms('*'))), keys.rebuild];
    for (const key of mortal) {
      const leftMs = Number(await stores.command('PTTL', key));
      if (leftMs >= 0) await stores.command('PEXPIRE', key, leftMs - seconds * 1_000);
    }
  }

  /** What older recorders wrote about SMS that have their outcome is read as what this version writes. */
  async #lengthen(): Promise<void> {
    const digestOf = (short: string) => DIGESTS.find((each) => each.endsWith(short)) ?? short;
    for (const id of this.#memory.sms.keys()) {
      const state = this.#memory.load(id);
      if (state?.phase !== 's') continue;
      const { run, object, status, digest, attempts } = state;
      const told = state.told.replace(/;!(\w+);/g, (_, short: string) => `;!${digestOf(short)};`);
      const text = ['s', run, object, status, digestOf(digest), attempts, told].join('|');
      await stores.command('SET', redisKeysOf(this.#prefix).sms(id), text, 'XX', 'KEEPTTL');
    }
  }

  async realState() {
    const keys = redisKeysOf(this.#prefix);
    const sms = new Map<string, unknown>();
    for (const key of await this.#list('KEYS', keys.sms('*'))) {
      const id = key.slice(keys.sms('').length);
      sms.set(id, knownOf(id, String(await stores.command('GET', key))));
    }
    const runs = new Map<string, unknown>();
    const changedRuns = (await this.#list('ZRANGE', keys.changedRuns, 0, -1)).sort();
    const summedRuns = (await this.#list('ZRANGE', keys.summedRuns, 0, -1)).sort();
    for (const run of [...changedRuns, ...summedRuns])
      runs.set(run, withoutTime(pairsOf(await this.#list('HGETALL', keys.run(run)))));
    expect((await this.#list('SMEMBERS', keys.runs)).sort()).toEqual(changedRuns);
    return {
      areValid: (await stores.readCounters(this.#prefix)).areValid,
      sms: sorted(sms),
      runs: sorted(runs),
      changedRuns,
      summedRuns,
      total: withoutZeros(withoutTime(pairsOf(await this.#list('HGETALL', keys.total)))),
      tidying: (await this.#list('ZRANGE', keys.tidying, 0, -1)).sort(),
      alive: (await this.#list('ZRANGE', keys.alive, 0, -1)).sort(),
      recorders: (await this.#list('ZRANGE', keys.recorders, 0, -1)).sort(),
      senders: pairsOf(await this.#list('HGETALL', keys.senders)),
      conflicts: (await this.#list('SMEMBERS', keys.conflicts)).sort(),
      reasons: (await this.#list('SMEMBERS', keys.reasons)).sort(),
    };
  }

  memoryState(): Awaited<ReturnType<BothStores['realState']>> {
    const {
      areValid,
      sms,
      runs,
      changedRuns,
      summedRuns,
      total,
      alive,
      recorders,
      tidying,
      senders,
      conflicts,
      namedReasons,
    } = this.#memory;
    const known = [...sms.keys()].flatMap((id): [string, string][] => {
      const state = this.#memory.load(id);
      if (state === undefined) return [];
      const { phase, run, object, status, digest, attempts, told } = state;
      return [[id, knownOf(id, [phase, run, object, status, digest, attempts, told].join('|'))]];
    });
    return {
      areValid,
      sms: sorted(new Map(known)),
      runs: sorted(new Map([...runs].map(([run, hash]) => [run, withoutTime(sorted(asText(hash)))]))),
      changedRuns: [...changedRuns.keys()].sort(),
      summedRuns: [...summedRuns.keys()].sort(),
      total: withoutZeros(withoutTime(sorted(asText(total)))),
      tidying: [...tidying.keys()].sort(),
      alive: [...alive.keys()].sort(),
      recorders: [...recorders.keys()].sort(),
      senders: sorted(senders),
      conflicts: [...conflicts].sort(),
      reasons: [...namedReasons].sort(),
    };
  }

  forget(): Promise<void> {
    return stores.forget(this.#prefix);
  }

  async #list(name: string, ...args: (string | number)[]): Promise<string[]> {
    return (await stores.command(name, ...args)) as string[];
  }
}

async function sayOf(answer: Promise<unknown>): Promise<string> {
  try {
    return JSON.stringify(await answer) ?? '';
  } catch (error) {
    return error instanceof RedialError ? error.code : String(error);
  }
}

/** What a text says about an SMS, be it short or long. */
function knownOf(id: string, text: string): string {
  const [phase = '', run = '', object = '', status = '', digest = '', attempts = '', told = ''] =
    text.split('|');
  const said = [
    ...[phase, run || runToldBy(id)],
    phase === 's' ? objectMarkOf(object) || object : object,
    ...[STATUS_OF_LETTER[status] ?? status, digest.slice(-8), attempts],
    // In what order Lua goes through a table is not defined: what was told in one call is a set.
    told
      .replace(/;!\w*(\w{8});/g, ';!$1;')
      .split(';')
      .sort()
      .join(';'),
  ];
  return said.join('|');
}

function pairsOf(flat: readonly string[]): [string, string][] {
  const pairs = flat.flatMap((field, index): [string, string][] =>
    index % 2 === 0 ? [[field, flat[index + 1] ?? '']] : [],
  );
  return sorted(new Map(pairs));
}

/** The two have clocks of their own. */
function withoutTime(pairs: readonly [string, string][]): [string, string][] {
  return pairs.filter(([field]) => field !== 'announcedAt' && field !== 'since');
}

function withoutZeros(pairs: readonly [string, string][]): [string, string][] {
  return pairs.filter(([, value]) => value !== '0');
}

function asText(hash: ReadonlyMap<string, number | string>): Map<string, string> {
  return new Map([...hash].map(([field, value]) => [field, String(value)]));
}

function sorted<Value>(map: ReadonlyMap<string, Value>): [string, Value][] {
  return [...map].sort(([left], [right]) => (left < right ? -1 : 1));
}

async function playSeed(seed: number): Promise<void> {
  const dice = new Dice(seed);
  const both = new BothStores(seed);
  const [first = 'r0'] = RECORDERS;
  await both.give({ name: 'begin', recorder: first, ask: (store) => store.beginRebuild() });
  if (dice.isHit(0.9)) await both.give({ name: 'end', recorder: first, ask: (store) => store.endRebuild() });
  const told: string[] = [];
  for (let index = 1; index <= COMMANDS; index += 1) {
    const command = drawCommand(dice);
    told.push('seconds' in command ? `${command.seconds} s pass` : command.name);
    const { real, memory } = await both.give(command);
    expect(memory, told.join('\n')).toEqual(real);
    if (index % COMMANDS_PER_LOOK === 0 || givenSeed !== undefined)
      expect(both.memoryState(), told.join('\n')).toEqual(await both.realState());
  }
  await both.forget();
}

it(`Lua and memory agree in ${SEEDS} sequences of commands (seeds from ${firstSeed})`, async () => {
  const count = givenSeed === undefined ? SEEDS : 1;
  for (let seed = firstSeed; seed < firstSeed + count; seed += 1) {
    try {
      await playSeed(seed);
    } catch (error) {
      throw new Error(`COUNTER_STORES_SEED=${seed} repeats it: ${String(error)}`, { cause: error });
    }
  }
});
