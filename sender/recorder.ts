/**
 * The recorder takes journal messages, counts them in Redis, writes outcomes to S3, and only then acknowledges.
 *
 *   journal messages -> counted, their outcomes claimed (one Lua call) -> in a batch -> batch stored as an object
 *                   -> outcomes counted (settled) -> acknowledged, once all its outcomes are stored
 *
 * Why it is exact: every call to the counters may be repeated; a batch's id is fixed before its outcomes are
 * claimed for it and its bytes before its first put; nothing is put while a claim is unanswered, because steps
 * follow one another and batches are closed only between them. A recorder that dies leaves its
 * messages unacknowledged: who gets them next finds the claims, reads the object they name, and takes over what is
 * not in it. A claim is never dropped while we live: others would wait for it.
 *
 * Stores that are away hold up recording, never sending. After a minute the messages go back to the queue and
 * only what is claimed stays here (bounded by the window), trying again until the store is back.
 */
import { decodeJournal } from '../shared/domain/journal.ts';
import type { OutcomeRecord, OutcomeStatus, RunAnnouncement } from '../shared/domain/outcome.ts';
import {
  announcementKey,
  type OutcomePrefixes,
  outcomeObjectKey,
  parseOutcomeObject,
} from '../shared/domain/outcome-object.ts';
import type { Digest } from '../shared/domain/parking.ts';
import { CountersLostError } from '../shared/errors.ts';
import type {
  ClaimAnswer,
  Clock,
  CounterEntry,
  CounterStore,
  Delivery,
  DeliverySource,
  Logger,
  ObjectStore,
} from '../shared/ports.ts';
import { endOf } from './end-of.ts';
import { type ClaimedOutcome, OutcomeBatch } from './outcome-batch.ts';
import type { Pause } from './publish-until-confirmed.ts';
import { rebuildCounters } from './rebuild-counters.ts';
import { summarise } from './summarise-outcome.ts';

export interface RecorderOptions {
  readonly source: DeliverySource;
  readonly counters: CounterStore;
  readonly objects: ObjectStore;
  readonly prefixes: OutcomePrefixes;
  /** QUEUE_NAME. */
  readonly queue: string;
  readonly recorderId: string;
  readonly clock: Clock;
  readonly digest: Digest;
  /** Rejects once the shutdown timeout is over. */
  readonly pause: Pause;
  readonly log: Logger;
  /** Journal messages held at once: the prefetch count of the source. */
  readonly windowSize: number;
  readonly batchSize: number;
  readonly batchMs: number;
}

/** A journal message we hold, and how many stores and look-ups it still waits for. */
interface HeldMessage {
  readonly delivery: Delivery;
  openCount: number;
}

/** An outcome asked for on behalf of a message. */
interface Claim {
  readonly outcome: ClaimedOutcome;
  readonly held: HeldMessage;
  /** The object of a dead recorder that does not hold it. */
  readonly insteadOfObjectId?: string;
}

/** An outcome that another object has claimed. */
interface ContestedOutcome extends Claim {
  readonly answer: ClaimAnswer & { readonly kind: 'elsewhere' };
}

type Batch = OutcomeBatch<HeldMessage>;
type Store = 'Redis' | 'S3';

const HEARTBEAT_MS = 4_000;
const LOOK_AGAIN_MS = 1_000;
// What one call to the counters takes at once.
const ENTRIES_TOGETHER = 1_000;
const SUSPEND_AFTER_MS = 60_000;

export class Recorder {
  readonly #options: RecorderOptions;
  readonly #held = new Set<HeldMessage>();
  /** Those of them that were not read yet. */
  readonly #received: HeldMessage[] = [];
  readonly #openBatches = new Map<OutcomeStatus, Batch>();
  readonly #storing = new Set<Promise<void>>();
  readonly #awaySinceMs = new Map<Store, number>();
  /** Steps that claim or close follow one another: a batch is never closed while a claim for it is unanswered. */
  #steps: Promise<void> = Promise.resolve();
  #stepCount = 0;
  #fullBatches: Batch[] = [];
  #contested: ContestedOutcome[] = [];
  #batchCount = 0;
  #isDraining = false;
  #isSuspended = false;
  #cancelHeartbeat: () => void = () => {};
  #cancelCloseTimer: (() => void) | undefined;
  #rebuild: Promise<void> | undefined;

  constructor(options: RecorderOptions) {
    this.#options = options;
  }

  start(): void {
    this.#beat();
    this.#options.source.start((delivery) => this.#receive(delivery));
  }

  /**
   * Takes no more, stores what is claimed, acknowledges.
   * @param deadline gives up on what does not fit; the same that makes `pause` reject
   * @returns how many journal messages were left; they stay unacknowledged
   */
  async drain(deadline: AbortSignal): Promise<number> {
    this.#isDraining = true;
    const isOver = endOf(deadline);
    await Promise.race([isOver, this.#options.source.cancel()]);
    while (this.#isBusy() && !deadline.aborted) {
      // The end of any step closes all batches now.
      this.#step(async () => {});
      await Promise.race([isOver, this.#settleOnce()]);
    }
    this.#cancelHeartbeat();
    this.#cancelCloseTimer?.();
    // Who leaves has nothing claimed; what we leave behind may still arrive, so that others wait as for the dead.
    if (!this.#isBusy()) await Promise.race([isOver, this.#options.counters.leave().catch(() => {})]);
    return [...this.#held].filter((held) => held.delivery.isLive()).length;
  }

  #isBusy(): boolean {
    return this.#stepCount > 0 || this.#storing.size > 0 || this.#held.size > 0;
  }

  async #settleOnce(): Promise<void> {
    await this.#steps;
    await Promise.all(this.#storing);
    // What still waits, waits for another recorder: look again at the usual pace.
    if (this.#storing.size === 0 && this.#isBusy()) await this.#options.pause(3);
  }

  #receive(delivery: Delivery): void {
    const held: HeldMessage = { delivery, openCount: 1 };
    this.#held.add(held);
    this.#received.push(held);
    if (this.#received.length === 1) this.#step(() => this.#handleReceived());
  }

  #step(step: () => Promise<void>): void {
    this.#stepCount += 1;
    this.#steps = this.#steps
      .then(step)
      .catch((error: unknown) => {
        // Only the end of the shutdown timeout breaks a step off: its messages stay unacknowledged.
        if (!this.#isDraining) this.#options.log.error({ err: error }, 'recording broke off');
      })
      .finally(() => {
        this.#stepCount -= 1;
        this.#closeDueBatches();
      });
  }

  /** Counts what has come in since the last step in one call: after an outage thousands of small messages wait. */
  async #handleReceived(): Promise<void> {
    const claims: Claim[] = [];
    const others: CounterEntry[] = [];
    const handled: HeldMessage[] = [];
    while (this.#received.length > 0 && claims.length + others.length < ENTRIES_TOGETHER) {
      const held = this.#received.shift();
      if (held !== undefined && this.#read(held, claims, others)) handled.push(held);
    }
    if (this.#received.length > 0) this.#step(() => this.#handleReceived());
    if (handled.length > 0) await this.#claim(claims, others);
    for (const held of handled) this.#release(held);
  }

  /** Adds the entries of a message; false where it is settled without. */
  #read(held: HeldMessage, claims: Claim[], others: CounterEntry[]): boolean {
    const { delivery } = held;
    const entries = delivery.isLive() ? decodeJournal(delivery.message.body) : [];
    if (entries === undefined) {
      this.#options.log.error({}, 'journal message cannot be read, parked');
      delivery.reject();
    }
    if (!delivery.isLive() || entries === undefined) {
      this.#held.delete(held);
      return false;
    }
    for (const entry of entries) {
      if (entry.kind === 'outcome') claims.push({ outcome: this.#describe(entry.record, entry.line), held });
      else others.push(entry);
      if (entry.kind === 'accepted') this.#announce(entry.announcement, held);
    }
    return true;
  }

  #describe(record: OutcomeRecord, line: Buffer): ClaimedOutcome {
    return { summary: summarise(record, this.#options.digest), line };
  }

  /** Counts and claims in one call, then places each outcome by its answer. */
  async #claim(claims: readonly Claim[], others: readonly CounterEntry[] = []): Promise<void> {
    const batches = claims.map(({ outcome }) => this.#batchFor(outcome.summary.status));
    const entries = claims.map(({ outcome, insteadOfObjectId }, index): CounterEntry => {
      const instead = insteadOfObjectId === undefined ? {} : { insteadOfObjectId };
      return {
        kind: 'outcome',
        outcome: outcome.summary,
        objectId: batches[index]?.objectId ?? '',
        ...instead,
      };
    });
    const answers = await this.#untilCounted(() => this.#options.counters.record([...others, ...entries]));
    claims.forEach((claim, index) => {
      const [batch, answer] = [batches[index], answers[index]];
      if (batch !== undefined && answer !== undefined) this.#place(claim, batch, answer);
    });
  }

  /** The open batch of a status, with one more place taken; a new one where all places are. */
  #batchFor(status: OutcomeStatus): Batch {
    let batch = this.#openBatches.get(status);
    if (batch !== undefined && batch.claimCount >= this.#options.batchSize) {
      this.#fullBatches.push(batch);
      batch = undefined;
    }
    if (batch === undefined) {
      this.#batchCount += 1;
      batch = new OutcomeBatch(
        status,
        this.#options.recorderId,
        this.#batchCount,
        this.#options.clock.nowMs(),
      );
      this.#openBatches.set(status, batch);
    }
    batch.claimCount += 1;
    return batch;
  }

  #place(claim: Claim, batch: Batch, answer: ClaimAnswer): void {
    const { outcome, held } = claim;
    if (answer.kind === 'claimed') {
      if (!batch.waiters.has(held)) held.openCount += 1;
      batch.add(outcome, held, this.#options.clock.nowMs());
    } else if (answer.kind === 'elsewhere') {
      held.openCount += 1;
      if (this.#contested.length === 0) this.#lookAgainLater();
      this.#contested.push({ outcome, held, answer });
    }
  }

  #release(held: HeldMessage): void {
    held.openCount -= 1;
    if (held.openCount > 0) return;
    held.delivery.acknowledge();
    this.#held.delete(held);
  }

  // ---- Contested outcomes

  #lookAgainLater(): void {
    this.#options.clock.after(LOOK_AGAIN_MS, () => this.#step(() => this.#lookAgain()));
  }

  /** Asks again where the owner lived; reads the object of an owner that is gone and takes over what is not in it. */
  async #lookAgain(): Promise<void> {
    const contested = this.#contested.filter(({ held }) => held.delivery.isLive());
    // What came on a channel that died is not ours and comes again: keeping it would add up over many deaths.
    for (const { held } of this.#contested) if (!held.delivery.isLive()) this.#release(held);
    this.#contested = [];
    const claims: Claim[] = contested.filter(({ answer }) => answer.isOwnerAlive);
    const leftBehind = contested.filter(({ answer }) => !answer.isOwnerAlive);
    for (const objectId of new Set(leftBehind.map(({ answer }) => answer.objectId))) {
      const ofObject = leftBehind.filter(({ answer }) => answer.objectId === objectId);
      claims.push(...(await this.#takeOver(objectId, ofObject)));
    }
    if (claims.length > 0) await this.#claim(claims);
    for (const { held } of contested) this.#release(held);
  }

  /** Counts what the object holds as recorded; returns claims for the rest. */
  async #takeOver(objectId: string, contested: readonly ContestedOutcome[]): Promise<Claim[]> {
    const { prefixes, objects, counters, queue, digest } = this.#options;
    const keys = new Set(contested.map(({ answer }) => outcomeObjectKey(prefixes[answer.status], objectId)));
    const stored = new Map<string, OutcomeRecord>();
    for (const key of keys) {
      const body = await this.#untilStored(() => objects.get(key));
      const { records } = parseOutcomeObject(body ?? Buffer.alloc(0));
      for (const record of records) if (record.queue === queue) stored.set(record.smsId, record);
    }
    const found = contested.flatMap(({ outcome }) => stored.get(outcome.summary.smsId) ?? []);
    if (found.length > 0) {
      await this.#untilCounted(() =>
        counters.restore(
          objectId,
          found.map((record) => summarise(record, digest)),
        ),
      );
    }
    return contested
      .filter(({ outcome }) => !stored.has(outcome.summary.smsId))
      .map(({ outcome, held }) => ({ outcome, held, insteadOfObjectId: objectId }));
  }

  // ---- Batches

  /** Closes what is full or old enough. Only ever called between steps, when no claim is unanswered. */
  #closeDueBatches(): void {
    const { clock, windowSize, batchSize, batchMs } = this.#options;
    const nowMs = clock.nowMs();
    const isWindowFull = this.#stepCount === 0 && this.#held.size >= windowSize;
    const isEverythingDue = isWindowFull || (this.#isDraining && this.#stepCount === 0);
    const full = this.#fullBatches;
    this.#fullBatches = [];
    for (const batch of full) this.#close(batch);
    for (const batch of [...this.#openBatches.values()]) {
      const ageMs = batch.openedAtMs === undefined ? 0 : nowMs - batch.openedAtMs;
      // A batch from the future: the clock was stepped back.
      const isOld = ageMs >= batchMs || ageMs < 0;
      if (isOld || batch.claimCount >= batchSize || (isEverythingDue && batch.size > 0)) this.#close(batch);
    }
    this.#watchBatches(nowMs);
  }

  #watchBatches(nowMs: number): void {
    this.#cancelCloseTimer?.();
    this.#cancelCloseTimer = undefined;
    const openedAtMs = [...this.#openBatches.values()].flatMap((batch) => batch.openedAtMs ?? []);
    if (openedAtMs.length === 0) return;
    const waitMs = Math.max(0, Math.min(...openedAtMs) + this.#options.batchMs - nowMs);
    this.#cancelCloseTimer = this.#options.clock.after(waitMs, () => this.#step(async () => {}));
  }

  #close(batch: Batch): void {
    if (this.#openBatches.get(batch.status) === batch) this.#openBatches.delete(batch.status);
    if (batch.size > 0) this.#inBackground(this.#store(batch));
  }

  async #store(batch: Batch): Promise<void> {
    const { objects, counters, prefixes } = this.#options;
    const { objectId, smsIds } = batch;
    const key = outcomeObjectKey(prefixes[batch.status], objectId);
    const body = batch.encode();
    await this.#untilStored(() => objects.put(key, body));
    const settled = smsIds.filter((smsId) => !batch.retoldIds.has(smsId));
    const strangers = await this.#untilCounted(() => counters.settle(objectId, settled));
    const strange = [...strangers, ...batch.retoldIds];
    if (strange.length > 0) await this.#restore(batch, strange);
    for (const held of batch.waiters) this.#release(held);
  }

  /**
   * Counts what was taken over while we were slow, or forgotten by a Redis that was emptied: it is stored all the
   * same. What was told twice for this object, and differently, is counted as it is stored.
   */
  async #restore(batch: Batch, smsIds: readonly string[]): Promise<void> {
    const lines = smsIds.map((smsId) => batch.lineOf(smsId)?.toString() ?? '').join('\n');
    const summaries = parseOutcomeObject(Buffer.from(lines)).records.map((record) =>
      summarise(record, this.#options.digest),
    );
    await this.#untilCounted(() => this.#options.counters.restore(batch.objectId, summaries));
  }

  #announce(announcement: RunAnnouncement, held: HeldMessage): void {
    if (announcement.queue !== this.#options.queue) return;
    held.openCount += 1;
    this.#inBackground(this.#storeAnnouncement(announcement).then(() => this.#release(held)));
  }

  async #storeAnnouncement(announcement: RunAnnouncement): Promise<void> {
    const { objects, counters } = this.#options;
    const key = announcementKey(announcement.run, announcement.accepted);
    const body = Buffer.from(`${JSON.stringify(announcement)}\n`);
    await this.#untilStored(() => objects.put(key, body));
    // Counted with its message already, but a Redis that was emptied meanwhile could not read it in S3 yet.
    await this.#untilCounted(() => counters.record([{ kind: 'accepted', announcement }]));
  }

  // What breaks off at the end of the shutdown timeout stays unacknowledged, and drain says so.
  #inBackground(storing: Promise<void>): void {
    const tracked = storing
      .catch((error: unknown) => {
        if (!this.#isDraining) this.#options.log.error({ err: error }, 'storing broke off');
      })
      .finally(() => this.#storing.delete(tracked));
    this.#storing.add(tracked);
  }

  // ---- Stores that are away

  async #untilStored<Value>(call: () => Promise<Value>): Promise<Value> {
    for (let failedTries = 0; ; failedTries += 1) {
      try {
        const value = await call();
        this.#noteBack('S3');
        return value;
      } catch (error) {
        this.#noteAway('S3', error);
        await this.#options.pause(failedTries);
      }
    }
  }

  async #untilCounted<Value>(call: () => Promise<Value>): Promise<Value> {
    for (let failedTries = 0; ; failedTries += 1) {
      try {
        const value = await call();
        this.#noteBack('Redis');
        return value;
      } catch (error) {
        if (error instanceof CountersLostError) await this.#rebuildCounters();
        else this.#noteAway('Redis', error);
        await this.#options.pause(failedTries);
      }
    }
  }

  async #rebuildCounters(): Promise<void> {
    this.#rebuild ??= rebuildCounters({
      ...this.#options,
      readStored: (call) => this.#untilStored(call),
    }).finally(() => {
      this.#rebuild = undefined;
    });
    await this.#rebuild.catch((error: unknown) => this.#noteAway('Redis', error));
  }

  #noteAway(store: Store, error: unknown): void {
    const nowMs = this.#options.clock.nowMs();
    const sinceMs = this.#awaySinceMs.get(store) ?? nowMs;
    if (!this.#awaySinceMs.has(store)) {
      this.#awaySinceMs.set(store, nowMs);
      this.#options.log.warn({ store, err: error }, `${store} is away: sending goes on, outcomes wait`);
    }
    if (this.#isSuspended || this.#isDraining || nowMs - sinceMs < SUSPEND_AFTER_MS) return;
    this.#isSuspended = true;
    this.#options.log.warn({ store }, `${store} is away for a minute: outcomes wait in the journal queue`);
    void this.#options.source.release();
  }

  #noteBack(store: Store): void {
    if (!this.#awaySinceMs.delete(store)) return;
    this.#options.log.info({ store }, `${store} is back`);
    if (!this.#isSuspended || this.#awaySinceMs.size > 0 || this.#isDraining) return;
    this.#isSuspended = false;
    this.#options.source.start((delivery) => this.#receive(delivery));
  }

  #beat(): void {
    const { counters } = this.#options;
    counters.beat().catch((error: unknown) => {
      // Rebuild also where there is nothing to record: else the books stay empty until the next SMS ends.
      const isNoticedHere = error instanceof CountersLostError && this.#stepCount === 0 && !this.#isDraining;
      if (isNoticedHere) this.#step(() => this.#untilCounted(() => counters.beat()));
    });
    this.#cancelHeartbeat = this.#options.clock.after(HEARTBEAT_MS, () => this.#beat());
  }
}
