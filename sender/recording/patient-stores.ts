import { outcomeObjectKey, probeObjectId } from '../../shared/domain/outcome/outcome-object.ts';
import {
  CallRefusedError,
  CountersLostError,
  describeError,
  isRefusal,
  ServerUnavailableError,
  StoppedError,
} from '../../shared/errors.ts';
import type { Clock } from '../../shared/ports/clock.ts';
import type { CounterStore } from '../../shared/ports/counter-store.ts';
import type { Delivery } from '../../shared/ports/delivery-source.ts';
import { rebuildCounters } from './rebuild/rebuild-counters.ts';
import type { RecorderOptions } from './recorder-options.ts';
import { StoreWatch } from './store-watch.ts';
import { RefusedForGoodError, type WorkInHand } from './work-in-hand.ts';

/** Longer than S3 takes for a put on a bad day, shorter than anybody waits for an outcome. */
const STAND_BACK_AFTER_MS = 5_000;
const SUSPEND_AFTER_MS = 60_000;
/** An IAM policy that is being rolled out, or a clock that is being set, is mended within a minute. */
const GIVE_UP_AFTER_MS = 60_000;
/** A put without an answer may still take effect for this long. */
const ARRIVES_WITHIN_MS = 600_000;
const PROBE_PAUSE_TRIES = 4;

/**
 * Redis and S3 as a recorder calls them: a call is repeated until it is answered. What S3 refuses for a minute, while it does
 * other things, is given up. A store that is away holds up recording, never sending:
 *
 *   nothing succeeds for 5 s   The recorder stands back: it takes no more journal messages, because RabbitMQ might give it
 *                              all of them before other recorders get any.
 *   nothing for a minute       The recorder is suspended: its messages go back to the queue, and what is claimed stays here
 *                              (bounded by the prefetch count). It gives no sign of life, so that a healthy recorder takes
 *                              its claims over.
 *   anything succeeds          The recorder goes on.
 *
 * While S3 is away, the recorder tries whether S3 takes anything at all.
 */
export class PatientStores {
  readonly #options: RecorderOptions;
  readonly #work: WorkInHand;
  readonly #onDelivery: (delivery: Delivery) => void;
  readonly #redis: StoreWatch;
  readonly #s3: StoreWatch;
  /** The store that is away, while no more messages are taken. */
  #standsBackFor: StoreWatch | undefined;
  /** The same while recording is suspended. */
  #suspendedBy: StoreWatch | undefined;
  #probing: Promise<void> | undefined;
  /** One for the whole life: each probe writes the same object. */
  #probeObjectId: string | undefined;
  #rebuild: Promise<void> | undefined;
  /** Since when Redis has not answered to signs of life. They tell nothing about recording. */
  #unheardSinceMs: number | undefined;

  constructor(options: RecorderOptions, work: WorkInHand, onDelivery: (delivery: Delivery) => void) {
    this.#options = options;
    this.#work = work;
    this.#onDelivery = onDelivery;
    this.#redis = new StoreWatch('Redis', options.clock, options.log);
    this.#s3 = new StoreWatch('S3', options.clock, options.log);
  }

  /** Takes journal messages from now on, but for times when a store is away. */
  startTaking(): void {
    this.#options.source.start(this.#onDelivery);
  }

  /** How long each store is away, in milliseconds. Redis is seen to be away also while there is nothing to record. */
  get awayMs(): { readonly redis: number; readonly s3: number } {
    const nowMs = this.#options.clock.nowMs();
    const unheardMs = Math.max(0, nowMs - (this.#unheardSinceMs ?? nowMs));
    return { redis: Math.max(this.#redis.awayMs, unheardMs), s3: this.#s3.awayMs };
  }

  /** Says that this sender lives, whether it is recording, and why outcomes wait here. @throws as the port does */
  async signalLife(): Promise<void> {
    const { counters, clock } = this.#options;
    const startedAtMs = clock.nowMs();
    try {
      await counters.signalLife(this.#suspendedBy === undefined, this.#s3.trouble);
      this.#unheardSinceMs = undefined;
    } catch (error) {
      // Any other error is an answer.
      this.#unheardSinceMs =
        error instanceof ServerUnavailableError ? (this.#unheardSinceMs ?? startedAtMs) : undefined;
      throw error;
    }
  }

  /** Puts until S3 has the object. @throws RefusedForGoodError where S3 never will have it */
  async putUntilStored(operation: string, key: string, body: Buffer): Promise<void> {
    const { objects, clock, pause } = this.#options;
    const refusals = new Refusals(this.#s3, clock);
    let unclearAtMs: number | undefined;
    for (let failedTries = 0; ; failedTries += 1) {
      const startedAtMs = clock.nowMs();
      try {
        await objects.put(key, body);
        return this.#noteSuccess(this.#s3, operation, startedAtMs);
      } catch (error) {
        this.#noteFailure(this.#s3, operation, error, startedAtMs);
        if (!isRefusal(error)) unclearAtMs = clock.nowMs();
        refusals.note(error, startedAtMs);
        if (refusals.lastFor(GIVE_UP_AFTER_MS) || this.#s3.isRefusedFor(GIVE_UP_AFTER_MS, operation)) {
          if (unclearAtMs === undefined) throw refusalOf(operation, error);
          // An earlier try ended without an answer and may have been carried out. Some stores refuse the get as well: then
          // nobody can know.
          const isThere = await objects.get(key).then(
            (found) => found !== undefined,
            () => undefined,
          );
          if (isThere === true) return;
          const hasArrived = clock.nowMs() - unclearAtMs >= ARRIVES_WITHIN_MS;
          if (isThere === false || hasArrived) throw refusalOf(operation, error);
        }
        await pause(failedTries);
      }
    }
  }

  /** Reads from S3 in one try; undefined where it failed. @throws RefusedForGoodError */
  async readOnce<Value>(objectId: string, read: () => Promise<Value>): Promise<Value | undefined> {
    const operation = `get ${objectId}`;
    const startedAtMs = this.#options.clock.nowMs();
    try {
      const value = await read();
      this.#noteSuccess(this.#s3, operation, startedAtMs);
      return value;
    } catch (error) {
      this.#noteFailure(this.#s3, operation, error, startedAtMs);
      if (!this.#s3.isRefusedFor(GIVE_UP_AFTER_MS, operation)) return undefined;
      this.#s3.forget(operation);
      throw refusalOf(`read ${objectId}`, error);
    }
  }

  /**
   * Calls the counters until they answer; where they are lost, they are rebuilt first.
   * @throws what would only be thrown again
   */
  async untilCounted<Value>(call: (counters: CounterStore) => Promise<Value>): Promise<Value> {
    const { counters, clock, pause } = this.#options;
    for (let failedTries = 0; ; failedTries += 1) {
      const startedAtMs = clock.nowMs();
      try {
        // Every call that counts is a sign of life, and while its answers are lost there must be none.
        if (this.#suspendedBy === this.#redis) await counters.signalLife(false);
        const value = await call(counters);
        this.#noteSuccess(this.#redis, 'count', startedAtMs);
        return value;
      } catch (error) {
        // A refused call is an answer too, and perhaps the last call for long.
        if (error instanceof CallRefusedError) this.#noteSuccess(this.#redis, 'count', startedAtMs);
        if (error instanceof CountersLostError) await this.#rebuildCounters();
        else if (error instanceof ServerUnavailableError)
          this.#noteFailure(this.#redis, 'count', error, startedAtMs);
        else throw error;
        await pause(failedTries);
      }
    }
  }

  async #rebuildCounters(): Promise<void> {
    const { clock } = this.#options;
    const onRead = (error: unknown) => {
      if (error === undefined) this.#noteSuccess(this.#s3, 'read', clock.nowMs());
      else this.#noteFailure(this.#s3, 'read', error, clock.nowMs());
    };
    this.#rebuild ??= rebuildCounters({ ...this.#options, onRead }).finally(() => {
      this.#rebuild = undefined;
    });
    await this.#rebuild.catch((error: unknown) => {
      if (error instanceof StoppedError) throw error;
      this.#noteFailure(this.#redis, 'count', error, clock.nowMs());
    });
  }

  // ---- Stores that are away

  /** @param startedAtMs when the call began */
  #noteSuccess(watch: StoreWatch, operation: string, startedAtMs: number): void {
    watch.noteSuccess(operation, startedAtMs);
    this.#goOn(watch);
  }

  /** @param startedAtMs when the call began: one that hangs has failed from there on */
  #noteFailure(watch: StoreWatch, operation: string, error: unknown, startedAtMs: number): void {
    watch.noteFailure(operation, error, startedAtMs);
    if (!watch.isAwayFor(STAND_BACK_AFTER_MS) || this.#work.isDraining) return;
    this.#standBack(watch);
    if (watch === this.#s3)
      this.#probing ??= this.#probe()
        .catch(() => {})
        .finally(() => {
          this.#probing = undefined;
        });
    else if (watch.isAwayFor(SUSPEND_AFTER_MS)) this.#suspend(watch);
  }

  #standBack(watch: StoreWatch): void {
    if (this.#standsBackFor !== undefined) return;
    this.#standsBackFor = watch;
    void this.#options.source.cancel();
  }

  #suspend(watch: StoreWatch): void {
    if (this.#suspendedBy !== undefined || this.#work.isDraining) return;
    this.#suspendedBy = watch;
    const { store } = watch;
    this.#options.log.warn({ store }, `${store} is away for a minute: outcomes wait in the journal queue`);
    void this.#options.source.release();
  }

  /** The store has done something. If the other store is away too, the next messages will show it. */
  #goOn(watch: StoreWatch): void {
    const isWaitedFor = this.#standsBackFor === watch || this.#suspendedBy === watch;
    if (!isWaitedFor || this.#work.isDraining) return;
    if (this.#standsBackFor === watch) this.#standsBackFor = undefined;
    if (this.#suspendedBy === watch) {
      this.#suspendedBy = undefined;
      this.#options.log.info({ store: watch.store }, `${watch.store} is back: recording goes on`);
    }
    if (this.#standsBackFor === undefined && this.#suspendedBy === undefined) this.startTaking();
  }

  /**
   * Tries whether S3 takes anything at all. Where S3 does not for a minute, recording is suspended until it does. Tries
   * again where something failed during a try: perhaps nothing else is put any more.
   */
  async #probe(): Promise<void> {
    while (!(await this.#canStoreSomething()) || this.#standsBackFor === this.#s3) {
      if (this.#s3.isAwayFor(SUSPEND_AFTER_MS)) this.#suspend(this.#s3);
      await this.#options.pause(PROBE_PAUSE_TRIES);
      if (!this.#s3.isAway || this.#work.isDraining) return;
    }
  }

  /** Puts an empty object, which readers pass over, under each prefix: what was tried may be all that S3 refuses. */
  async #canStoreSomething(): Promise<boolean> {
    const { objects, prefixes, clock, recorderId } = this.#options;
    const startedAtMs = clock.nowMs();
    this.#probeObjectId ??= probeObjectId(startedAtMs, recorderId);
    const objectId = this.#probeObjectId;
    const puts = Object.values(prefixes).map(async (prefix) => {
      try {
        await objects.put(outcomeObjectKey(prefix, objectId), Buffer.alloc(0));
        this.#noteSuccess(this.#s3, `put ${prefix}/`, startedAtMs);
        return true;
      } catch (error) {
        this.#s3.noteFailure(`put ${prefix}/`, error, startedAtMs);
        return false;
      }
    });
    return (await Promise.all(puts)).includes(true);
  }
}

/** Whether S3 refuses one object, while it takes others: also others under the same prefix, which end its series there. */
class Refusals {
  readonly #s3: StoreWatch;
  readonly #clock: Clock;
  /** When the first try of the series began. */
  #sinceMs: number | undefined;
  /** When something else was first seen to succeed after that. */
  #othersSinceMs: number | undefined;

  constructor(s3: StoreWatch, clock: Clock) {
    this.#s3 = s3;
    this.#clock = clock;
  }

  note(error: unknown, startedAtMs: number): void {
    if (!isRefusal(error)) {
      this.#sinceMs = undefined;
      this.#othersSinceMs = undefined;
      return;
    }
    this.#sinceMs ??= startedAtMs;
    if (this.#s3.hasSucceededSince(this.#sinceMs)) this.#othersSinceMs ??= this.#clock.nowMs();
  }

  lastFor(durationMs: number): boolean {
    const nowMs = this.#clock.nowMs();
    const isLong = this.#othersSinceMs !== undefined && nowMs - this.#othersSinceMs >= durationMs;
    return isLong && this.#s3.hasSucceededSince(nowMs - durationMs);
  }
}

function refusalOf(operation: string, error: unknown): RefusedForGoodError {
  return new RefusedForGoodError(`S3 refuses to ${operation}: ${describeError(error)}`);
}
