/** Recorders on real stores, fed by a queue and a clock that the test drives, and the laws their books must obey. */
import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Recorder } from '../../sender/recording/recorder.ts';
import { bucketOf } from '../../shared/domain/histogram.ts';
import { type AttemptRecord, hasFailed, isUnclear } from '../../shared/domain/outcome/attempt.ts';
import { countedReasonOf } from '../../shared/domain/outcome/failure-reason.ts';
import { contentOf, type OutcomeRecord } from '../../shared/domain/outcome/outcome.ts';
import type { Pause } from '../../shared/pipeline/publish-until-confirmed.ts';
import type { CounterReading, RunCounters } from '../../shared/ports/counter-reader.ts';
import type { ObjectStore } from '../../shared/ports/object-store.ts';
import { PREFIXES } from '../../shared/rehearsal/simulated-process.ts';
import { HandDrivenQueue, type HandDrivenSource } from './hand-driven-queue.ts';
import { type Intercept, intercepted } from './intercepted.ts';
import { ManualClock } from './manual-clock.ts';
import { RecordedLog } from './recorded-log.ts';
import { readStoredRecords, type StoredRecord } from './stored-records.ts';
import type { RealStores } from './stores/real-stores.ts';

export interface RecorderSettings {
  readonly batchSize: number;
  readonly batchMs: number;
  readonly prefetchCount: number;
  readonly pause: Pause;
  /** Has a say in every call to the stores. */
  readonly intercept: Intercept;
}

const STARTED_AT_MS = Date.UTC(2026, 10, 22, 10, 0, 0);
const PATIENCE_MS = 20_000;
const never = new Promise<never>(() => {});
let worldCount = 0;

export const digest = (...parts: readonly (string | Buffer)[]): string =>
  createHash('sha256').update(parts.join('')).digest('hex').slice(0, 16);

/** True for calls that follow the clock and not what is recorded. */
export const isSignOfLife = (call: string): boolean => call === 'signalLife' || call === 'tidy';

export class RecorderWorld {
  readonly prefix: string;
  readonly prefixes = PREFIXES;
  readonly objects: ObjectStore;
  readonly run = 'demo';
  readonly queue = new HandDrivenQueue();
  readonly recorders: RecorderUnderTest[] = [];
  /** Journal messages that were parked, with the reason. */
  readonly parked: { readonly lines: string; readonly reason: string }[] = [];
  /** Lines that were kept for a newer version. */
  readonly keptForLater: string[] = [];
  readonly stores: RealStores;

  /** @param objects a bucket of its own unless told otherwise */
  constructor(stores: RealStores, objects?: ObjectStore) {
    worldCount += 1;
    this.stores = stores;
    this.prefix = `rec-${process.pid}-${Date.now().toString(36)}-${worldCount}`;
    this.objects = objects ?? stores.bucket(this.prefix);
  }

  /** Makes the counters valid, so that recorders begin without a rebuild. */
  async prepare(): Promise<this> {
    // The bucket is made at the first put.
    await this.objects.put('made', Buffer.alloc(0));
    const counters = this.stores.counters(this.prefix, 'setup');
    await counters.beginRebuild();
    await counters.endRebuild();
    return this;
  }

  publish(...lines: string[]): void {
    this.queue.publish({ body: Buffer.from(`${lines.join('\n')}\n`) });
  }

  start(settings: Partial<RecorderSettings> = {}): RecorderUnderTest {
    const recorder = new RecorderUnderTest(this, settings);
    this.recorders.push(recorder);
    recorder.recorder.start();
    return recorder;
  }

  /** Lets time pass for all living recorders until the condition holds. */
  async until(isMet: () => boolean | Promise<boolean>, stepMs = 250): Promise<void> {
    const giveUpAtMs = Date.now() + PATIENCE_MS;
    while (!(await isMet())) {
      if (Date.now() > giveUpAtMs) throw new Error(`waited too long for ${isMet}`);
      await Promise.all(this.recorders.map((recorder) => recorder.passTime(stepMs)));
      await sleep(1);
    }
  }

  /** Until every message published so far is acknowledged. */
  untilAcknowledged(): Promise<void> {
    return this.until(() => this.queue.readyCount === 0 && this.queue.unacknowledgedCount === 0);
  }

  /** The process is gone, and so long that its sign of life, and a rebuild of its own, have run out. */
  async kill(recorder: RecorderUnderTest): Promise<void> {
    await recorder.die();
    await this.stores.command('ZREM', `${this.prefix}:recorders`, recorder.id);
    const rebuilder = await this.stores.command('GET', `${this.prefix}:rebuild`);
    if (String(rebuilder).startsWith(`${recorder.id}/`))
      await this.stores.command('DEL', `${this.prefix}:rebuild`);
  }

  readCounters(): Promise<CounterReading> {
    return this.stores.readCounters(this.prefix);
  }

  storedRecords(): Promise<StoredRecord[]> {
    return readStoredRecords(this.objects);
  }
}

export class RecorderUnderTest {
  readonly id: string;
  readonly clock = new ManualClock(STARTED_AT_MS);
  readonly log = new RecordedLog();
  readonly source: HandDrivenSource;
  readonly recorder: Recorder;
  /** Names of the calls to the stores, in order. */
  readonly calls: string[] = [];
  isDead = false;
  readonly #running = new Set<Promise<unknown>>();

  constructor(world: RecorderWorld, settings: Partial<RecorderSettings>) {
    const { stores, prefix, prefixes, queue } = world;
    const { prefetchCount = 16, batchSize = 100, batchMs = 1_000, intercept = (_, run) => run() } = settings;
    this.id = `r${world.recorders.length}${digest(prefix).slice(0, 6)}`;
    this.source = queue.consumer(prefetchCount);
    const guarded: Intercept = (name, run, args) => this.#guard(name, run, args, intercept);
    this.recorder = new Recorder({
      source: this.source,
      counters: intercepted(stores.counters(prefix, this.id), guarded),
      objects: intercepted(world.objects, guarded),
      prefixes,
      queue: prefix,
      recorderId: this.id,
      clock: this.clock,
      digest,
      pause: settings.pause ?? (() => sleep(2)),
      passOn: {
        park: async (delivery, reason) => {
          world.parked.push({ lines: delivery.message.body.toString(), reason });
          delivery.acknowledge();
        },
      },
      later: { append: async (line) => void world.keptForLater.push(line) },
      log: this.log,
      prefetchCount,
      batchSize,
      batchMs,
    });
  }

  /** A call that the servers are carrying out takes no time, however busy the machine is. */
  async passTime(durationMs: number): Promise<void> {
    await Promise.allSettled(this.#running);
    if (!this.isDead) await this.clock.advance(durationMs);
  }

  /** Nothing is done any more and nothing answered; what is on its way arrives. */
  async die(): Promise<void> {
    this.isDead = true;
    await Promise.allSettled(this.#running);
    this.source.end();
  }

  async #guard(
    name: string,
    run: () => Promise<unknown>,
    args: readonly unknown[],
    intercept: Intercept,
  ): Promise<unknown> {
    if (this.isDead) return never;
    this.calls.push(name);
    const carryOut = () => {
      // It died while it waited to be carried out.
      if (this.isDead) return never;
      const running = run();
      this.#running.add(running);
      const forget = () => this.#running.delete(running);
      running.then(forget, forget);
      return running;
    };
    try {
      return await intercept(name, carryOut, args);
    } finally {
      if (this.isDead) await never;
    }
  }
}

// ---- What is told in the journal

/** One execution of an attempt; `execution` tells repeated ones apart. */
export function attemptRecord(
  attempt: number,
  result: 'sent' | 'failed' | 'unknown',
  execution = 0,
): AttemptRecord {
  const startedAt = new Date(STARTED_AT_MS + attempt * 60_000 + execution * 7_001).toISOString();
  const late = attempt === 1 ? {} : { lateMs: 3 * attempt + 40 * execution };
  const reason = result === 'sent' ? {} : { reason: execution === 0 ? 'timeout' : 'carrier unavailable' };
  return { attempt, startedAt, ...late, tookMs: 100 * attempt + 37 * execution, result, ...reason };
}

export function attemptLine(
  world: RecorderWorld,
  smsId: string,
  attempt: AttemptRecord,
  run = world.run,
): string {
  return JSON.stringify({ entry: 'attempt', smsId, run, attempt });
}

/** The terminal entry of an SMS: sent where its last attempt was, failed where that failed, parked without any. */
export function outcomeLine(
  world: RecorderWorld,
  smsId: string,
  attempts: readonly AttemptRecord[],
  { run = world.run, text = 'hello' } = {},
): string {
  const last = attempts.at(-1);
  const at = new Date(STARTED_AT_MS).toISOString();
  const record: OutcomeRecord = {
    smsId,
    run,
    queue: world.prefix,
    ...(last === undefined ? {} : { to: '+15550100001', text }),
    status: last === undefined ? 'parked' : last.result === 'sent' ? 'sent' : 'failed',
    ...(last?.result === 'sent'
      ? {}
      : { reason: last === undefined ? 'body is not JSON' : (last.reason ?? '') }),
    acceptedAt: at,
    finishedAt: at,
    attempts,
    ...(last === undefined ? { raw: 'AAAA' } : {}),
  };
  return JSON.stringify(record);
}

export function announcementLine(world: RecorderWorld, accepted: number): string {
  const at = new Date(STARTED_AT_MS).toISOString();
  const announcement = {
    run: world.run,
    queue: world.prefix,
    accepted,
    acceptedUpTo: accepted,
    input: 'generated',
    at,
  };
  return JSON.stringify({ entry: 'accepted', ...announcement });
}

// ---- What the books must say

/** The books as records tell them; in the same form as `booksOf`. */
export function booksByRecords(records: readonly OutcomeRecord[]) {
  const attempts = records.flatMap((record) => record.attempts);
  const withStatus = (status: string) => records.filter((record) => record.status === status).length;
  return {
    met: records.length,
    sent: withStatus('sent'),
    failed: withStatus('failed'),
    parked: withStatus('parked'),
    attempts: attempts.length,
    attemptsFailed: attempts.filter(hasFailed).length,
    attemptsUnknown: attempts.filter(isUnclear).length,
    failedByReason: countsOf(records.flatMap((record) => countedReasonOf(record) ?? [])),
    attemptsByNumber: countsOf(attempts.map(({ attempt }) => attempt)),
    processingMsSum: attempts.reduce((sum, { tookMs }) => sum + tookMs, 0),
    processingBuckets: countsOf(attempts.map(({ tookMs }) => bucketOf(tookMs))),
    latenessBuckets: countsOf(
      attempts.flatMap(({ lateMs }) => (lateMs === undefined ? [] : bucketOf(lateMs))),
    ),
  };
}

/** The books of a run as the counters tell them. */
export function booksOf(counters: RunCounters | undefined): ReturnType<typeof booksByRecords> | undefined {
  if (counters === undefined) return undefined;
  const { met, sent, failed, parked, attempts, attemptsFailed, attemptsUnknown, processingMsSum } = counters;
  const { attemptsByNumber, processingBuckets, latenessBuckets } = counters;
  return {
    ...{ met, sent, failed, parked, attempts, attemptsFailed, attemptsUnknown, processingMsSum },
    failedByReason: sorted(counters.failedByReason),
    attemptsByNumber: sorted(attemptsByNumber),
    processingBuckets: sorted(processingBuckets),
    latenessBuckets: sorted(latenessBuckets),
  };
}

/** What the journal told beyond these records: sends that are in no record, and other contents under the same ids. */
export function strayBooksByJournal(lines: readonly string[], records: readonly OutcomeRecord[]) {
  const sends = new Set<string>();
  const contents = new Set<string>();
  for (const line of lines) {
    const entry = JSON.parse(line) as Partial<OutcomeRecord> & { smsId: string; attempt?: AttemptRecord };
    if (entry.attempt !== undefined) sends.add(sendOf(entry.smsId, entry.attempt));
    for (const attempt of entry.attempts ?? []) sends.add(sendOf(entry.smsId, attempt));
    if (entry.status !== undefined) contents.add(`${entry.smsId} ${contentOf(entry as OutcomeRecord)}`);
  }
  const recorded = records.flatMap(({ smsId, attempts }) =>
    attempts.map((attempt) => sendOf(smsId, attempt)),
  );
  return { repeatedSends: sends.size - new Set(recorded).size, idConflicts: contents.size - records.length };
}

function sendOf(smsId: string, { attempt, startedAt }: AttemptRecord): string {
  return `${smsId} ${attempt} ${startedAt}`;
}

function countsOf<Key extends string | number>(values: readonly Key[]): [Key, number][] {
  const counts = new Map<Key, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return sorted(counts);
}

function sorted<Key extends string | number>(counts: ReadonlyMap<Key, number>): [Key, number][] {
  return [...counts].sort(([left], [right]) => (left < right ? -1 : 1));
}
