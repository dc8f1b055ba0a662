import type { ChainableCommander } from 'ioredis';
import { describeError, ServerUnavailableError } from '../../errors.ts';
import type { CounterReader, CounterReading, RunCounters } from '../../ports.ts';
import type { RedisConnection, RedisSession } from './connection.ts';
import { HEARTBEAT_LIFE_SECONDS, redisKeysOf } from './keys.ts';

const RECENT_SECONDS = 10;

/**
 * Reads all counters; those of one run are of one moment. Writes nothing. Not in one transaction: a Redis that is full
 * refuses to begin one, and the monitor is to say so.
 */
export class RedisCounterReader implements CounterReader {
  readonly #connection: RedisConnection;
  readonly #keys: ReturnType<typeof redisKeysOf>;

  constructor(connection: RedisConnection, prefix: string) {
    this.#connection = connection;
    this.#keys = redisKeysOf(prefix);
  }

  /** @throws ServerUnavailableError */
  async read(): Promise<CounterReading> {
    const session = this.#connection.session();
    try {
      return await this.#readOnce(session);
    } catch (error) {
      throw new ServerUnavailableError(`Redis did not answer: ${describeError(error)}`, {
        isRefusal: false,
        cause: error,
      });
    }
  }

  async #readOnce({ redis, generation: ownGeneration, memory }: RedisSession): Promise<CounterReading> {
    const [second, runs] = await Promise.all([
      redis.time().then(([seconds]) => Number(seconds)),
      redis.smembers(this.#keys.runs),
    ]);
    // The second that runs is left out: it is not over, and a part of it would make every rate too low.
    const seconds = Array.from({ length: RECENT_SECONDS }, (_, index) => second - 1 - index);
    const all = redis.pipeline();
    all.get(this.#keys.generation);
    all.zcount(this.#keys.alive, second - HEARTBEAT_LIFE_SECONDS, '+inf');
    all.zcount(this.#keys.recorders, second - HEARTBEAT_LIFE_SECONDS, '+inf');
    all.smembers(this.#keys.conflicts);
    for (const run of runs) all.hgetall(this.#keys.run(run));
    for (const each of seconds) all.hgetall(this.#keys.recent(each));
    const [generation, livingSenders, livingRecorders, conflictingIds, ...hashes] = await execute(all);
    return {
      areValid: generation === ownGeneration,
      runs: new Map(runs.map((run, index) => [run, readRun(hashes[index] as Record<string, string>)])),
      recent: readRecent(hashes.slice(runs.length) as Record<string, string>[]),
      recentSeconds: RECENT_SECONDS,
      livingSenders: Number(livingSenders),
      livingRecorders: Number(livingRecorders),
      conflictingIds: (conflictingIds as string[]).sort(),
      memory,
    };
  }
}

async function execute(commands: ChainableCommander): Promise<unknown[]> {
  const replies = (await commands.exec()) ?? [];
  return replies.map(([error, value]) => {
    if (error !== null) throw error;
    return value;
  });
}

function readRun(fields: Record<string, string>): RunCounters {
  const numberOf = (field: string) => Number(fields[field] ?? 0);
  const mapOf = (fieldPrefix: string) =>
    new Map(
      Object.entries(fields)
        .filter(([field, value]) => field.startsWith(fieldPrefix) && value !== '0')
        .map(([field, value]): [number, number] => [Number(field.slice(fieldPrefix.length)), Number(value)]),
    );
  return {
    announced: numberOf('announced'),
    acceptedUpTo: numberOf('acceptedUpTo'),
    input: fields.input,
    hasInputConflict: fields.hasInputConflict === '1',
    met: numberOf('met'),
    sent: numberOf('sent'),
    failed: numberOf('failed'),
    parked: numberOf('parked'),
    known: numberOf('known'),
    attempts: numberOf('attempts'),
    attemptsFailed: numberOf('attemptsFailed'),
    attemptsByNumber: mapOf('attempt:'),
    processingMsSum: numberOf('processingMs'),
    processingBuckets: mapOf('processing:'),
    latenessBuckets: mapOf('lateness:'),
    maxLatenessMs: fields.maxLatenessMs === undefined ? undefined : Number(fields.maxLatenessMs),
    repeatedSends: numberOf('repeatedSends'),
    idConflicts: numberOf('idConflicts'),
  };
}

function readRecent(hashes: readonly Record<string, string>[]): CounterReading['recent'] {
  const recent = new Map<string, { attempts: number; sent: number }>();
  for (const hash of hashes) {
    for (const [name, count] of Object.entries(hash)) {
      const [run = '', field] = name.split('|');
      const sums = recent.get(run) ?? { attempts: 0, sent: 0 };
      if (field === 'attempts' || field === 'sent') sums[field] += Number(count);
      recent.set(run, sums);
    }
  }
  return recent;
}
