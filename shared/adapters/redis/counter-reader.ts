import type { ChainableCommander, Redis } from 'ioredis';
import { GONE_AFTER_SECONDS } from '../../domain/outcome/recorder-life.ts';
import { type SeenSender, seenSenderOf } from '../../domain/sender-report.ts';
import { ServerUnavailableError } from '../../errors.ts';
import type {
  CounterReader,
  CounterReading,
  DoneRuns,
  FullCounterReading,
  RunCounters,
} from '../../ports/counter-reader.ts';
import type { RedisConnection, RedisSession } from './connection.ts';
import { redisKeysOf, SILENT_AFTER_SECONDS } from './keys.ts';

const LAST_SECONDS = 10;
const LAST_MINUTE = 60;
/** A reading takes milliseconds, and runs are moved on for a moment every few seconds. */
const MAX_TRIES = 100;
const RUNS_AT_ONCE = 1_000;
const CONFLICT = 'conflict:';
const BOOK_FIELDS = [
  ...['announced', 'acceptedUpTo', 'announcedAt', 'input', 'hasInputConflict', 'met'],
  ...['sent', 'failed', 'parked', 'known', 'attempts', 'attemptsFailed', 'attemptsUnknown'],
  ...['repeatedSends', 'idConflicts'],
];

type Hash = Record<string, string>;

/** Which runs are read one by one: the open runs, one run beside them, or all that are not forgotten. */
type Scope = { readonly kind: 'open' | 'all' } | { readonly kind: 'one'; readonly run: string };

/**
 * Reads all counters; those of one run are of one moment. Writes nothing. The reading is no transaction: a Redis that is
 * full refuses to begin one, and the monitor must be able to say that Redis is full. Where a run came into the total or left
 * it during a reading, the run could be counted twice or not at all, so all is read again.
 */
export class RedisCounterReader implements CounterReader {
  readonly #connection: RedisConnection;
  readonly #keys: ReturnType<typeof redisKeysOf>;
  /** What was counted within each of the last seconds. These seconds are over: nothing is counted in them any more. */
  #recent: ReadonlyMap<number, Hash> = new Map();

  constructor(connection: RedisConnection, prefix: string) {
    this.#connection = connection;
    this.#keys = redisKeysOf(prefix);
  }

  /** @throws ServerUnavailableError */
  read(run?: string): Promise<CounterReading> {
    return this.#read(run === undefined ? { kind: 'open' } : { kind: 'one', run });
  }

  /** @throws ServerUnavailableError */
  readInFull(): Promise<FullCounterReading> {
    return this.#read({ kind: 'all' });
  }

  async #read(scope: Scope): Promise<FullCounterReading> {
    const reading = await this.#connection.ask(async (session) => {
      for (let tries = 0; tries < MAX_TRIES; tries += 1) {
        const reading = await this.#readOnce(session, scope);
        if (reading !== undefined) return reading;
      }
      return undefined;
    });
    if (reading !== undefined) return reading;
    throw new ServerUnavailableError('the counters in Redis change too fast to be read', {
      isRefusal: false,
    });
  }

  /** Undefined where a run came into the total or left it meanwhile. */
  async #readOnce(
    { redis, generation: ownGeneration, memory }: RedisSession,
    scope: Scope,
  ): Promise<FullCounterReading | undefined> {
    const keys = this.#keys;
    const [[seconds], moves, openRuns, summed] = await Promise.all([
      redis.time(),
      redis.hget(keys.total, 'moves'),
      redis.smembers(keys.runs),
      scope.kind === 'all' ? redis.zrange(keys.summedRuns, '0', '-1') : [],
    ]);
    const second = Number(seconds);
    const open = scope.kind === 'one' ? [...new Set([...openRuns, scope.run])] : openRuns;
    // The current second is left out: it is not over, and a part of a second would make every rate too low.
    const recentSeconds = Array.from({ length: LAST_MINUTE }, (_, index) => second - 1 - index);
    const unreadSeconds = recentSeconds.filter((each) => !this.#recent.has(each));
    const all = redis.pipeline();
    all.get(keys.generation);
    all.zrangebyscore(keys.alive, second - GONE_AFTER_SECONDS, '+inf', 'WITHSCORES');
    all.hgetall(keys.reports);
    // A second more: the score of a sign of life is half a second less here than in `alive`.
    all.zcount(keys.recorders, second - SILENT_AFTER_SECONDS - 1, '+inf');
    all.smembers(keys.conflicts);
    all.hgetall(keys.total);
    all.hgetall(keys.troubles);
    all.hvals(keys.throttled);
    all.get(keys.pause);
    for (const run of open) all.hgetall(keys.run(run));
    for (const each of unreadSeconds) all.hgetall(keys.recent(each));
    const [generation, heard, reports, livingRecorders, conflictingIds, total, troubles, ...more] =
      await execute(all);
    const [throttled, pausedUntil, ...hashes] = more;
    const summedRuns = await this.#readSummed(redis, summed);
    if ((await redis.hget(keys.total, 'moves')) !== moves) return undefined;
    const runs = open.map((run, index): [string, Hash] => [run, hashes[index] as Hash]);
    const recent = this.#remember(recentSeconds, unreadSeconds, hashes.slice(runs.length) as Hash[]);
    const seenSenders = readSeen(heard as string[], reports as Hash, second);
    const livingSenders = seenSenders.filter(
      ({ lastSeenSeconds }) => lastSeenSeconds <= SILENT_AFTER_SECONDS,
    );
    return {
      areValid: generation === ownGeneration,
      runs: new Map(
        runs
          .filter(([run, hash]) => scope.kind !== 'one' || run !== scope.run || Object.keys(hash).length > 0)
          .map(([run, hash]) => [run, readRun(hash)]),
      ),
      done: readDone(total as Hash),
      summedRuns,
      lastTenSeconds: readRecent(recent.slice(0, LAST_SECONDS)),
      lastMinute: readRecent(recent),
      livingSenders: livingSenders.length,
      silentSenders: seenSenders.length - livingSenders.length,
      seenSenders,
      livingRecorders: Number(livingRecorders),
      recordingTroubles: livingSenders.flatMap(({ id }) => (troubles as Hash)[id] ?? []),
      conflictingIds: (conflictingIds as string[]).sort(),
      throttled: (throttled as string[]).reduce((sum, count) => sum + Number(count), 0),
      pausedUntilMs: readTime(pausedUntil as string | null),
      memory,
    };
  }

  /** The hashes of the last seconds, with those that have just been read. */
  #remember(seconds: readonly number[], read: readonly number[], hashes: readonly Hash[]): Hash[] {
    const known = new Map([
      ...this.#recent,
      ...read.map((each, index) => [each, hashes[index] ?? {}] as const),
    ]);
    this.#recent = new Map(seconds.map((each) => [each, known.get(each) ?? {}]));
    return [...this.#recent.values()];
  }

  /** The fields of summed runs that the books need. */
  async #readSummed(redis: Redis, runs: readonly string[]): Promise<Map<string, RunCounters>> {
    const read = new Map<string, RunCounters>();
    for (let first = 0; first < runs.length; first += RUNS_AT_ONCE) {
      const part = runs.slice(first, first + RUNS_AT_ONCE);
      const commands = redis.pipeline();
      for (const run of part) commands.hmget(this.#keys.run(run), ...BOOK_FIELDS);
      const replies = (await execute(commands)) as (string | null)[][];
      for (const [index, values] of replies.entries()) read.set(part[index] ?? '', readRun(hashOf(values)));
    }
    return read;
  }
}

/** The hash that the values of BOOK_FIELDS make. */
function hashOf(values: readonly (string | null)[]): Hash {
  const fields = BOOK_FIELDS.map((field, index) => [field, values[index] ?? null] as const);
  return Object.fromEntries(fields.filter((each): each is [string, string] => each[1] !== null));
}

function readDone(total: Hash): DoneRuns {
  return {
    counters: readRun(total),
    forgottenCount: Number(total.gone ?? 0),
    withInputConflict: Object.keys(total)
      .filter((field) => field.startsWith(CONFLICT))
      .map((field) => field.slice(CONFLICT.length))
      .sort(),
  };
}

/** Undefined where there is no moment, or none that anybody can read. */
function readTime(text: string | null): number | undefined {
  const ms = new Date(Number(text ?? Number.NaN)).getTime();
  return Number.isNaN(ms) ? undefined : ms;
}

async function execute(commands: ChainableCommander): Promise<unknown[]> {
  const replies = (await commands.exec()) ?? [];
  return replies.map(([error, value]) => {
    if (error !== null) throw error;
    return value;
  });
}

function readRun(fields: Readonly<Record<string, string | number>>): RunCounters {
  const numberOf = (field: string) => Number(fields[field] ?? 0);
  const countsOf = (fieldPrefix: string) =>
    Object.entries(fields)
      .filter(([field, value]) => field.startsWith(fieldPrefix) && Number(value) !== 0)
      .map(([field, value]): [string, number] => [field.slice(fieldPrefix.length), Number(value)]);
  const mapOf = (fieldPrefix: string) =>
    new Map(countsOf(fieldPrefix).map(([number, count]) => [Number(number), count]));
  return {
    announced: numberOf('announced'),
    acceptedUpTo: numberOf('acceptedUpTo'),
    input: fields.input === undefined ? undefined : String(fields.input),
    announcedAtSeconds: fields.announcedAt === undefined ? undefined : Number(fields.announcedAt),
    hasInputConflict: fields.hasInputConflict === '1',
    met: numberOf('met'),
    sent: numberOf('sent'),
    failed: numberOf('failed'),
    parked: numberOf('parked'),
    known: numberOf('known'),
    failedByReason: new Map(countsOf('reason:')),
    attempts: numberOf('attempts'),
    attemptsFailed: numberOf('attemptsFailed'),
    attemptsUnknown: numberOf('attemptsUnknown'),
    attemptsByNumber: mapOf('attempt:'),
    processingMsSum: numberOf('processingMs'),
    processingBuckets: mapOf('processing:'),
    latenessBuckets: mapOf('lateness:'),
    maxLatenessMs: fields.maxLatenessMs === undefined ? undefined : Number(fields.maxLatenessMs),
    repeatedSends: numberOf('repeatedSends'),
    idConflicts: numberOf('idConflicts'),
  };
}

/** @param heard ids and the seconds of their last sign of life in turn */
function readSeen(heard: readonly string[], reports: Hash, second: number): SeenSender[] {
  const seen: SeenSender[] = [];
  for (let index = 0; index < heard.length; index += 2) {
    const id = heard[index] ?? '';
    seen.push(seenSenderOf(id, Math.max(0, second - Number(heard[index + 1])), reports[id] ?? null));
  }
  return seen.sort((left, right) => (left.id < right.id ? -1 : 1));
}

function readRecent(hashes: readonly Hash[]): CounterReading['lastMinute'] {
  const byRun = new Map<string, Record<string, number>>();
  for (const hash of hashes) {
    for (const [name, count] of Object.entries(hash)) {
      const [run = '', field = ''] = name.split('|');
      const sums = byRun.get(run) ?? {};
      sums[field] = (sums[field] ?? 0) + Number(count);
      byRun.set(run, sums);
    }
  }
  return new Map([...byRun].map(([run, sums]) => [run, readRun(sums)]));
}
