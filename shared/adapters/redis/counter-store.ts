import type { Redis } from 'ioredis';
import type { BucketCounts } from '../../domain/histogram.ts';
import { OUTCOME_STATUSES, type OutcomeStatus, type RunAnnouncement } from '../../domain/outcome.ts';
import { CallRefusedError, CountersLostError, describeError, ServerUnavailableError } from '../../errors.ts';
import type {
  ClaimAnswer,
  CounterEntry,
  CounterStore,
  OutcomeSummary,
  OutcomeSums,
  StoredOutcome,
  StoreMemory,
} from '../../ports.ts';
import { tokenOf, tokensOf } from './attempt-token.ts';
import type { RedisConnection } from './connection.ts';
import { FirstMeetings } from './first-meetings.ts';
import { redisKeysOf } from './keys.ts';
import { objectMarkOf } from './object-mark.ts';
import {
  ABANDON,
  ABANDON_REBUILD,
  BEAT,
  BEGIN_REBUILD,
  CLEAR,
  END_REBUILD,
  PROLONG_REBUILD,
  REBUILD_ANNOUNCEMENT,
  REBUILD_SUMS,
  RECORD,
  RECORD_WITHOUT_COUNTING_ONCE,
  RESTORE,
  SETTLE,
  TIDY,
} from './scripts.ts';
import { runToldBy } from './told-run.ts';

export interface RedisCounterStoreOptions {
  readonly connection: RedisConnection;
  /** QUEUE_NAME. */
  readonly prefix: string;
  /** Letters and digits; also part of this recorder's object ids. */
  readonly recorderId: string;
  readonly keepTimeMs: number;
  /** False only where a test shows what is counted too often without. */
  readonly isCountingOnce?: boolean;
}

const SCRIPTS = {
  redialRecord: RECORD,
  redialSettle: SETTLE,
  redialAbandon: ABANDON,
  redialRestore: RESTORE,
  redialRebuildAnnouncement: REBUILD_ANNOUNCEMENT,
  redialRebuildSums: REBUILD_SUMS,
  redialClear: CLEAR,
  redialBeginRebuild: BEGIN_REBUILD,
  redialProlongRebuild: PROLONG_REBUILD,
  redialAbandonRebuild: ABANDON_REBUILD,
  redialEndRebuild: END_REBUILD,
  redialBeat: BEAT,
  redialTidy: TIDY,
} as const;

type ScriptName = keyof typeof SCRIPTS;
type ScriptArgument = string | number;
type RedisWithScripts = Record<ScriptName, (...args: ScriptArgument[]) => Promise<unknown>>;

// Errors of the script itself or of one key, which the same call would only meet again. All others are of Redis as a
// whole: it is full, loading, read-only, busy, or a Redis Cluster, which cannot be used.
const REFUSED_CALL = /^(ERR|WRONGTYPE)\b(?!.*cluster)/;

// What JavaScript and Lua pass on as arguments of one call is limited, and Redis should not stand still for long.
const ITEMS_PER_CALL = 1_000;

/** The counters in Redis: every call is one Lua script, atomic, and may be repeated without effect. */
export class RedisCounterStore implements CounterStore {
  readonly #options: RedisCounterStoreOptions;
  readonly #keys: ReturnType<typeof redisKeysOf>;
  readonly #equipped = new WeakSet<Redis>();
  #rebuildCount = 0;
  #livingSenders = 1;

  constructor(options: RedisCounterStoreOptions) {
    this.#options = options;
    this.#keys = redisKeysOf(options.prefix);
  }

  get keepTimeMs(): number {
    return this.#options.keepTimeMs;
  }

  async record(entries: readonly CounterEntry[]): Promise<ClaimAnswer[]> {
    const answers: string[] = [];
    for (const part of inParts(entries)) {
      answers.push(...(await this.#recordPart(part)));
    }
    return answers.map(readAnswer);
  }

  async #recordPart(entries: readonly CounterEntry[]): Promise<string[]> {
    const firstMeetings = new FirstMeetings(this.#keys.sms);
    const others: string[] = [];
    const isOutcomeOfFirst: boolean[] = [];
    for (const entry of entries) {
      const isFirst = firstMeetings.takeIn(entry);
      if (!isFirst) others.push(...argumentsOf(entry));
      if (entry.kind === 'outcome') isOutcomeOfFirst.push(isFirst);
    }
    const reply = await this.#run('redialRecord', [...firstMeetings.describe(), ...others]);
    const [ofFirst = [], ofOthers = []] = reply as string[][];
    const areFirstClaimed = ofFirst.length === 0;
    return isOutcomeOfFirst.map((isFirst) => {
      if (isFirst && areFirstClaimed) return 'claimed';
      return (isFirst ? ofFirst : ofOthers).shift() ?? '';
    });
  }

  async settle(objectId: string, smsIds: readonly string[]): Promise<string[]> {
    const strangers: string[] = [];
    for (const part of inParts([...new Set(smsIds)])) {
      const args = [
        ...[
          objectId,
          objectMarkOf(objectId),
          `|${[...new Set(part.map(runToldBy))].join('|')}|`,
          this.#options.keepTimeMs,
        ],
        ...part.map(this.#keys.sms),
      ];
      const positions = (await this.#run('redialSettle', args)) as number[];
      strangers.push(...positions.map((position) => part[position - 1] ?? ''));
    }
    return strangers;
  }

  async abandon(objectId: string, smsIds: readonly string[]): Promise<void> {
    for (const part of inParts(smsIds)) await this.#run('redialAbandon', [objectId, ...part]);
  }

  restore(objectId: string, outcomes: readonly OutcomeSummary[]): Promise<void> {
    return this.#restore('', objectId, outcomes);
  }

  rebuildOutcomes(objectId: string, outcomes: readonly StoredOutcome[]): Promise<void> {
    return this.#restore(this.#rebuildTry, objectId, outcomes);
  }

  async #restore(
    rebuildTry: string,
    objectId: string,
    outcomes: readonly (OutcomeSummary & Partial<StoredOutcome>)[],
  ): Promise<void> {
    for (const part of inParts(outcomes)) {
      const described = part.flatMap(({ smsId, run, status, contentDigest, attempts, finishedAtMs }) => [
        ...[smsId, run, status, contentDigest],
        tokensOf(attempts),
        finishedAtMs === undefined ? '' : Math.max(0, finishedAtMs).toString(36),
      ]);
      await this.#run('redialRestore', [
        ...[rebuildTry, objectId, objectMarkOf(objectId), this.#options.keepTimeMs],
        ...described,
      ]);
    }
  }

  async rebuildSums(sums: readonly OutcomeSums[]): Promise<void> {
    // A run may have some thousand fields.
    for (const each of sums)
      await this.#run('redialRebuildSums', [this.#rebuildTry, ...argumentsOfSums(each)]);
  }

  async rebuildAnnouncement({ run, accepted, acceptedUpTo, input, at }: RunAnnouncement): Promise<void> {
    const seconds = secondsOf(at);
    await this.#run('redialRebuildAnnouncement', [
      ...[this.#rebuildTry, run, accepted, acceptedUpTo, input],
      seconds ?? '',
    ]);
  }

  async beat(isRecording: boolean, trouble = ''): Promise<void> {
    this.#livingSenders = Number(await this.#run('redialBeat', [isRecording ? '1' : '0', trouble]));
  }

  /** Senders that lived at our last heartbeat that Redis answered; 1 before the first. */
  get livingSenders(): number {
    return this.#livingSenders;
  }

  async tidy(): Promise<void> {
    while ((await this.#run('redialTidy', [this.#options.keepTimeMs])) === 1);
  }

  async leave(): Promise<void> {
    const { redis } = this.#options.connection.session();
    const { recorderId } = this.#options;
    const { recorders, alive, tidying, senders, troubles } = this.#keys;
    await Promise.all([
      ...[recorders, alive, tidying].map((key) => redis.zrem(key, recorderId)),
      ...[senders, troubles].map((key) => redis.hdel(key, recorderId)),
    ]);
  }

  async beginRebuild(): Promise<'done' | 'mine' | 'others'> {
    this.#rebuildCount += 1;
    const answer = (await this.#run('redialBeginRebuild', [this.#rebuildTry])) as 'done' | 'mine' | 'others';
    // Also where it was ours before: we cannot know how far an earlier try came.
    if (answer === 'mine') await this.#clear();
    return answer;
  }

  async prolongRebuild(): Promise<void> {
    await this.#run('redialProlongRebuild', [this.#rebuildTry]);
  }

  async abandonRebuild(): Promise<void> {
    await this.#run('redialAbandonRebuild', [this.#rebuildTry]);
  }

  async endRebuild(): Promise<void> {
    await this.#run('redialEndRebuild', [this.#rebuildTry]);
  }

  get #rebuildTry(): string {
    return `${this.#options.recorderId}/${this.#rebuildCount}`;
  }

  async #clear(): Promise<void> {
    let cursor = '0';
    do {
      cursor = String(await this.#run('redialClear', [this.#rebuildTry, cursor]));
    } while (cursor !== '0');
  }

  async #run(script: ScriptName, args: readonly ScriptArgument[]): Promise<unknown> {
    const { redis, generation, memory } = this.#options.connection.session();
    requireKeeping(memory);
    this.#equip(redis);
    const { prefix, recorderId } = this.#options;
    try {
      return await (redis as unknown as RedisWithScripts)[script](
        this.#keys.generation,
        prefix,
        generation,
        recorderId,
        ...args,
      );
    } catch (error) {
      const said = describeError(error);
      if (said.startsWith('COUNTERS_LOST')) throw new CountersLostError();
      if (REFUSED_CALL.test(said))
        throw new CallRefusedError(`Redis cannot count this: ${said}`, { cause: error });
      const reason = said.startsWith('OOM') ? 'Redis is full (maxmemory)' : `Redis did not count: ${said}`;
      throw new ServerUnavailableError(reason, { isRefusal: false, cause: error });
    }
  }

  #equip(redis: Redis): void {
    if (this.#equipped.has(redis)) return;
    const { isCountingOnce = true } = this.#options;
    const scripts = isCountingOnce ? SCRIPTS : { ...SCRIPTS, redialRecord: RECORD_WITHOUT_COUNTING_ONCE };
    for (const [name, lua] of Object.entries(scripts)) redis.defineCommand(name, { numberOfKeys: 1, lua });
    this.#equipped.add(redis);
  }
}

/** @throws ServerUnavailableError where Redis would drop some of what is counted when it is full */
function requireKeeping({ policy }: StoreMemory): void {
  if (policy === 'noeviction') return;
  throw new ServerUnavailableError(
    `Redis drops keys when it is full (maxmemory-policy ${policy}), and counters would be wrong: set it to noeviction`,
    { isRefusal: true },
  );
}

/** At least one part, be it empty: a call without items still says something. */
function inParts<Item>(items: readonly Item[]): Item[][] {
  const count = Math.max(1, Math.ceil(items.length / ITEMS_PER_CALL));
  return Array.from({ length: count }, (_, index) =>
    items.slice(index * ITEMS_PER_CALL, (index + 1) * ITEMS_PER_CALL),
  );
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

/** Undefined where a newer or forged announcement tells a time that nobody can read. */
function secondsOf(at: string): number | undefined {
  const seconds = Math.floor(Date.parse(at) / 1_000);
  return Number.isNaN(seconds) ? undefined : seconds;
}

function argumentsOfSums(sums: OutcomeSums): ScriptArgument[] {
  const fields = Object.entries({
    ...{ met: sums.met, sent: sums.sent, failed: sums.failed, parked: sums.parked, known: sums.known },
    ...{ attempts: sums.attempts, attemptsFailed: sums.attemptsFailed, processingMs: sums.processingMsSum },
    ...fieldsOf('attempt', sums.attemptsByNumber),
    ...fieldsOf('processing', sums.processingBuckets),
    ...fieldsOf('lateness', sums.latenessBuckets),
  });
  return [sums.run, sums.maxLatenessMs ?? '', ...fields.flat()];
}

function fieldsOf(name: string, counts: BucketCounts): Record<string, number> {
  return Object.fromEntries([...counts].map(([number, count]) => [`${name}:${number}`, count]));
}

function readAnswer(text: string): ClaimAnswer {
  if (text === 'claimed' || text === 'recorded' || text === 'known') return { kind: text };
  const [life, objectId, status] = text.split('|');
  if (objectId === undefined || !OUTCOME_STATUSES.includes(status as OutcomeStatus)) {
    throw new CallRefusedError(`Redis gave an answer nobody knows: ${text}`);
  }
  return { kind: 'elsewhere', objectId, status: status as OutcomeStatus, isOwnerAlive: life === 'alive' };
}
