import type { Redis } from 'ioredis';
import { tokenOf, tokensOf } from '../../domain/outcome/attempt-token.ts';
import { OUTCOME_STATUSES, type OutcomeStatus, type RunAnnouncement } from '../../domain/outcome/outcome.ts';
import type { SenderReport } from '../../domain/sender-report.ts';
import { CallRefusedError, CountersLostError, describeError, ServerUnavailableError } from '../../errors.ts';
import type { StoreMemory } from '../../ports/counter-reader.ts';
import type {
  ClaimAnswer,
  CounterEntry,
  CounterStore,
  OutcomeSummary,
  OutcomeSums,
  ReasonsById,
  StoredOutcome,
} from '../../ports/counter-store.ts';
import type { RedisConnection } from './connection.ts';
import { FirstMeetings } from './first-meetings.ts';
import { redisKeysOf } from './keys.ts';
import { objectMarkOf } from './object-mark.ts';
import { SCRIPTS, type ScriptName } from './scripts.ts';
import { runToldBy } from './told-run.ts';

export interface RedisCounterStoreOptions {
  readonly connection: RedisConnection;
  /** QUEUE_NAME. */
  readonly prefix: string;
  /** Letters and digits; also part of this recorder's object ids. */
  readonly recorderId: string;
  readonly keepTimeMs: number;
  /** What this sender tells of itself with each sign of life. Default: nothing. */
  readonly describeSender?: () => SenderReport;
}

type ScriptArgument = string | number;
// With a prefix, because Redis has a command RESTORE of its own.
type RedisWithScripts = Record<`redial:${ScriptName}`, (...args: ScriptArgument[]) => Promise<unknown>>;

// An error of the script itself or of one key: the same call would only meet it again. All other errors are of Redis as a
// whole: Redis is full, loading, read-only, busy, or a Redis Cluster, which cannot be used.
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
    for (const part of inParts(entries)) answers.push(...(await this.#recordPart(part)));
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
    const reply = await this.#run('record', [...firstMeetings.toArguments(), ...others]);
    const [ofFirst = [], ofOthers = []] = reply as string[][];
    const areFirstClaimed = ofFirst.length === 0;
    return isOutcomeOfFirst.map((isFirst) => {
      if (isFirst && areFirstClaimed) return 'claimed';
      return (isFirst ? ofFirst : ofOthers).shift() ?? '';
    });
  }

  async settle(objectId: string, smsIds: readonly string[], reasons?: ReasonsById): Promise<string[]> {
    const strangers: string[] = [];
    for (const part of inParts([...new Set(smsIds)])) {
      const toldRuns = `|${[...new Set(part.map(runToldBy))].join('|')}|`;
      const object = [objectId, objectMarkOf(objectId), toldRuns, this.#options.keepTimeMs, part.length];
      const told = reasons === undefined || reasons.size === 0 ? [] : part.map((id) => reasons.get(id) ?? '');
      const positions = await this.#run('settle', [...object, ...part.map(this.#keys.sms), ...told]);
      strangers.push(...(positions as number[]).map((position) => part[position - 1] ?? ''));
    }
    return strangers;
  }

  async abandon(objectId: string, smsIds: readonly string[]): Promise<void> {
    for (const part of inParts(smsIds)) await this.#run('abandon', [objectId, ...part]);
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
      const stored = part.flatMap(({ smsId, run, status, contentDigest, attempts, finishedAtMs, reason }) => [
        ...[smsId, run, status, contentDigest, tokensOf(attempts)],
        finishedAtMs === undefined ? '' : Math.max(0, finishedAtMs).toString(36),
        reason ?? '',
      ]);
      const object = [objectId, objectMarkOf(objectId), this.#options.keepTimeMs];
      await this.#run('restore', [rebuildTry, ...object, ...stored]);
    }
  }

  async rebuildSums(sums: readonly OutcomeSums[]): Promise<void> {
    // A run may have some thousand fields.
    for (const each of sums) await this.#rebuild('sum', ...argumentsOfSums(each));
  }

  async rebuildAnnouncement({ run, accepted, acceptedUpTo, input, at }: RunAnnouncement): Promise<void> {
    await this.#rebuild('announce', run, accepted, acceptedUpTo, input, secondsOf(at) ?? '');
  }

  async signalLife(isRecording: boolean, trouble = ''): Promise<void> {
    const report = this.#options.describeSender?.();
    const args = [isRecording ? '1' : '0', trouble, report === undefined ? '' : JSON.stringify(report)];
    this.#livingSenders = Number(await this.#run('signal-life', args));
  }

  /** Senders that lived at our last sign of life that Redis answered; 1 before the first. */
  get livingSenders(): number {
    return this.#livingSenders;
  }

  async tidy(): Promise<void> {
    while ((await this.#run('tidy', [this.#options.keepTimeMs])) === 1);
  }

  async leave(): Promise<void> {
    const { redis } = this.#options.connection.session();
    const { recorderId } = this.#options;
    const { recorders, alive, tidying, senders, troubles, reports } = this.#keys;
    await Promise.all([
      ...[recorders, alive, tidying].map((key) => redis.zrem(key, recorderId)),
      ...[senders, troubles, reports].map((key) => redis.hdel(key, recorderId)),
    ]);
  }

  async beginRebuild(): Promise<'done' | 'mine' | 'others'> {
    this.#rebuildCount += 1;
    const answer = (await this.#rebuild('begin')) as 'done' | 'mine' | 'others';
    // Also where the rebuild was ours before: we cannot know how far an earlier try came.
    if (answer === 'mine') await this.#clear();
    return answer;
  }

  async prolongRebuild(): Promise<void> {
    await this.#rebuild('prolong');
  }

  async abandonRebuild(): Promise<void> {
    await this.#rebuild('abandon');
  }

  async endRebuild(): Promise<void> {
    await this.#rebuild('finish');
  }

  #rebuild(...stepAndArguments: ScriptArgument[]): Promise<unknown> {
    return this.#run('rebuild', [this.#rebuildTry, ...stepAndArguments]);
  }

  get #rebuildTry(): string {
    return `${this.#options.recorderId}/${this.#rebuildCount}`;
  }

  async #clear(): Promise<void> {
    let cursor = '0';
    do {
      cursor = String(await this.#rebuild('clear', cursor));
    } while (cursor !== '0');
  }

  async #run(script: ScriptName, args: readonly ScriptArgument[]): Promise<unknown> {
    const { redis, generation, memory } = this.#options.connection.session();
    requireKeeping(memory);
    this.#equip(redis);
    const { prefix, recorderId } = this.#options;
    try {
      return await (redis as unknown as RedisWithScripts)[`redial:${script}`](
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
    for (const [name, lua] of SCRIPTS) redis.defineCommand(`redial:${name}`, { numberOfKeys: 1, lua });
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

/** At least one part, even if it is empty: a call without items is a sign of life too. */
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
      const { outcome, objectId, insteadOfObjectId = '' } = entry;
      const content = `${outcome.status} ${outcome.contentDigest}`;
      const attempts = tokensOf(outcome.attempts);
      return ['outcome', outcome.smsId, outcome.run, content, attempts, objectId, insteadOfObjectId];
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
    attemptsUnknown: sums.attemptsUnknown,
    ...fieldsOf('reason', sums.failedByReason),
    ...fieldsOf('attempt', sums.attemptsByNumber),
    ...fieldsOf('processing', sums.processingBuckets),
    ...fieldsOf('lateness', sums.latenessBuckets),
  });
  return [sums.run, sums.maxLatenessMs ?? '', ...fields.flat()];
}

function fieldsOf(name: string, counts: ReadonlyMap<string | number, number>): Record<string, number> {
  return Object.fromEntries([...counts].map(([of, count]) => [`${name}:${of}`, count]));
}

function readAnswer(text: string): ClaimAnswer {
  if (text === 'claimed' || text === 'recorded' || text === 'recorded otherwise' || text === 'known')
    return { kind: text };
  const [life, objectId, status] = text.split('|');
  if (objectId === undefined || !OUTCOME_STATUSES.includes(status as OutcomeStatus)) {
    throw new CallRefusedError(`Redis gave an answer nobody knows: ${text}`);
  }
  return { kind: 'elsewhere', objectId, status: status as OutcomeStatus, isOwnerAlive: life === 'alive' };
}
