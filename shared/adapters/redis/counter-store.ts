import type { Redis } from 'ioredis';
import type { AttemptRecord } from '../../domain/attempt.ts';
import { OUTCOME_STATUSES, type OutcomeStatus, type RunAnnouncement } from '../../domain/outcome.ts';
import { CountersLostError, describeError, ServerUnavailableError } from '../../errors.ts';
import type { ClaimAnswer, CounterEntry, CounterStore, OutcomeSummary } from '../../ports.ts';
import type { RedisConnection } from './connection.ts';
import { redisKeysOf } from './keys.ts';
import {
  BEAT,
  BEGIN_REBUILD,
  END_REBUILD,
  RECORD,
  RESTORE,
  RESTORE_ANNOUNCEMENT,
  SETTLE,
} from './scripts.ts';

export interface RedisCounterStoreOptions {
  readonly connection: RedisConnection;
  /** QUEUE_NAME. */
  readonly prefix: string;
  /** Letters and digits; also part of this recorder's object ids. */
  readonly recorderId: string;
  readonly keepTimeMs: number;
}

const SCRIPTS = {
  redialRecord: RECORD,
  redialSettle: SETTLE,
  redialRestore: RESTORE,
  redialRestoreAnnouncement: RESTORE_ANNOUNCEMENT,
  redialBeginRebuild: BEGIN_REBUILD,
  redialEndRebuild: END_REBUILD,
  redialBeat: BEAT,
} as const;

type ScriptName = keyof typeof SCRIPTS;
type ScriptArgument = string | number;
type RedisWithScripts = Record<ScriptName, (...args: ScriptArgument[]) => Promise<unknown>>;

const SCAN_COUNT = 1_000;

/** The counters in Redis: every call is one Lua script, atomic, and may be repeated without effect. */
export class RedisCounterStore implements CounterStore {
  readonly #options: RedisCounterStoreOptions;
  readonly #keys: ReturnType<typeof redisKeysOf>;
  readonly #equipped = new WeakSet<Redis>();

  constructor(options: RedisCounterStoreOptions) {
    this.#options = options;
    this.#keys = redisKeysOf(options.prefix);
  }

  async record(entries: readonly CounterEntry[]): Promise<ClaimAnswer[]> {
    const answers = await this.#run('redialRecord', entries.flatMap(argumentsOf));
    return (answers as string[]).map(readAnswer);
  }

  async settle(objectId: string, smsIds: readonly string[]): Promise<string[]> {
    return (await this.#run('redialSettle', [objectId, this.#options.keepTimeMs, ...smsIds])) as string[];
  }

  async restore(objectId: string, outcomes: readonly OutcomeSummary[]): Promise<void> {
    const described = outcomes.flatMap((outcome) => [
      outcome.smsId,
      outcome.run,
      outcome.status,
      outcome.contentDigest,
      tokensOf(outcome.attempts),
    ]);
    await this.#run('redialRestore', [objectId, this.#options.keepTimeMs, ...described]);
  }

  async restoreAnnouncement({ run, accepted, acceptedUpTo, input }: RunAnnouncement): Promise<void> {
    await this.#run('redialRestoreAnnouncement', [run, accepted, acceptedUpTo, input]);
  }

  async beat(): Promise<void> {
    await this.#run('redialBeat', []);
  }

  async leave(): Promise<void> {
    const { redis } = this.#options.connection.session();
    await redis.zrem(this.#keys.alive, this.#options.recorderId);
  }

  async beginRebuild(): Promise<'done' | 'mine' | 'others'> {
    const answer = (await this.#run('redialBeginRebuild', [])) as 'done' | 'mine' | 'others' | 'begin';
    if (answer !== 'begin') return answer;
    await this.#clear();
    return 'mine';
  }

  async endRebuild(): Promise<void> {
    await this.#run('redialEndRebuild', []);
  }

  // Rebuilding starts from nothing: what an older Redis remembers may have been counted and forgotten since.
  async #clear(): Promise<void> {
    const { redis } = this.#options.connection.session();
    const kept = new Set([this.#keys.rebuild, this.#keys.alive, this.#keys.senders]);
    let cursor = '0';
    do {
      const [next, keys] = await redis.scan(
        cursor,
        'MATCH',
        `${this.#options.prefix}:*`,
        'COUNT',
        SCAN_COUNT,
      );
      const doomed = keys.filter((key) => !kept.has(key));
      if (doomed.length > 0) await redis.unlink(...doomed);
      await redis.pexpire(this.#keys.rebuild, 15_000);
      cursor = next;
    } while (cursor !== '0');
  }

  async #run(script: ScriptName, args: readonly ScriptArgument[]): Promise<unknown> {
    const { redis, runId } = this.#options.connection.session();
    this.#equip(redis);
    const { prefix, recorderId } = this.#options;
    try {
      return await (redis as unknown as RedisWithScripts)[script](
        this.#keys.generation,
        prefix,
        runId,
        recorderId,
        ...args,
      );
    } catch (error) {
      const said = describeError(error);
      if (said.startsWith('COUNTERS_LOST')) throw new CountersLostError();
      throw new ServerUnavailableError(`Redis did not count: ${said}`, { isRefusal: false, cause: error });
    }
  }

  #equip(redis: Redis): void {
    if (this.#equipped.has(redis)) return;
    for (const [name, lua] of Object.entries(SCRIPTS)) redis.defineCommand(name, { numberOfKeys: 1, lua });
    this.#equipped.add(redis);
  }
}

/** `number:start:tookMs:lateMs:s or f`; the start in base 36 tells two executions of one attempt apart. */
function tokenOf({ attempt, startedAt, tookMs, lateMs, result }: AttemptRecord): string {
  return `${attempt}:${Date.parse(startedAt).toString(36)}:${tookMs}:${lateMs ?? ''}:${result === 'failed' ? 'f' : 's'}`;
}

function tokensOf(attempts: readonly AttemptRecord[]): string {
  return attempts.map(tokenOf).join(',');
}

function argumentsOf(entry: CounterEntry): string[] {
  switch (entry.kind) {
    case 'attempt':
      return ['attempt', entry.smsId, entry.run, tokenOf(entry.attempt), '', '', ''];
    case 'outcome': {
      const { smsId, run, status, contentDigest, attempts } = entry.outcome;
      const { objectId, insteadOfObjectId } = entry;
      return [
        'outcome',
        smsId,
        run,
        `${status} ${contentDigest}`,
        tokensOf(attempts),
        objectId,
        insteadOfObjectId ?? '',
      ];
    }
    case 'accepted': {
      const { run, accepted, acceptedUpTo, input } = entry.announcement;
      return ['accepted', '', run, String(accepted), String(acceptedUpTo), input, ''];
    }
    case 'sender':
      return ['sender', entry.sender, '', JSON.stringify(entry.settings), '', '', ''];
  }
}

function readAnswer(text: string): ClaimAnswer {
  if (text === 'claimed' || text === 'recorded') return { kind: text };
  const [life, objectId, status] = text.split('|');
  if (objectId === undefined || !OUTCOME_STATUSES.includes(status as OutcomeStatus)) {
    throw new ServerUnavailableError(`Redis gave an answer nobody knows: ${text}`, { isRefusal: false });
  }
  return { kind: 'elsewhere', objectId, status: status as OutcomeStatus, isOwnerAlive: life === 'alive' };
}
