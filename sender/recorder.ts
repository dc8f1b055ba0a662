/**
 * The recorder takes journal messages, counts them in Redis, writes outcomes to S3, and only then acknowledges.
 *
 *   journal messages -> counted, their outcomes claimed (one Lua call) -> in a batch -> batch stored as an object
 *                   -> outcomes counted (settled) -> acknowledged, once all its outcomes are stored
 *
 * Why it is exact: every call to the counters may be repeated; a batch's id is fixed before its outcomes are
 * claimed for it and its bytes before its first put; nothing is put while a claim is unanswered, because steps
 * follow one another and batches are closed only between them. A recorder that dies leaves its
 * messages unacknowledged: the recorder that gets them next finds the claims, reads the object they name, and takes over
 * what is not in it. A claim is kept while its put may still arrive: others would wait for it.
 *
 * Why nothing stops it: each message is handled in its own try, and one that throws is parked. A step never waits for
 * S3. Lines of a newer version are kept for a recorder that knows them. A put that S3 refuses for good, while it does
 * other things, parks the messages it belongs to.
 *
 * Stores that are away hold up recording, never sending. Where nothing has succeeded for 5 s, the recorder takes no more
 * messages: RabbitMQ might give it all of them before others get any. Where nothing has succeeded for a minute, its messages
 * go back to the queue, and what is claimed stays here (bounded by the window). The recorder gives no sign of life then, so
 * that a healthy one takes its claims over. It goes on as soon as anything succeeds.
 */
import { decodeJournal, type JournalEntry } from '../shared/domain/journal.ts';
import {
  identityOf,
  type OutcomeRecord,
  type OutcomeStatus,
  type RunAnnouncement,
} from '../shared/domain/outcome.ts';
import {
  announcementKey,
  type OutcomePrefixes,
  outcomeObjectId,
  outcomeObjectKey,
  parseOutcomeObject,
  recorderOf,
} from '../shared/domain/outcome-object.ts';
import {
  BROKE_OFF,
  type Digest,
  OF_ANOTHER_QUEUE,
  type ParkingReason,
  TOO_LARGE_JOURNAL,
  UNREADABLE_JOURNAL,
} from '../shared/domain/parking.ts';
import {
  CallRefusedError,
  CountersLostError,
  describeError,
  isRefusal,
  ServerUnavailableError,
  StoppedError,
} from '../shared/errors.ts';
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
import type { Journal } from './journal.ts';
import { type ClaimedOutcome, OutcomeBatch } from './outcome-batch.ts';
import type { PassOn } from './pass-on.ts';
import type { Pause } from './publish-until-confirmed.ts';
import { rebuildCounters } from './rebuild-counters.ts';
import { StoreWatch } from './store-watch.ts';
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
  /** Parks journal messages. */
  readonly passOn: Pick<PassOn, 'park'>;
  /** Keeps lines for a newer version: they come back to the journal queue after a while. */
  readonly later: Pick<Journal, 'append'>;
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
  /** Why it is parked, instead of acknowledged, when nothing of it is open any more. */
  parkingReason?: ParkingReason;
}

/** What a journal message asks for. */
interface Page {
  readonly held: HeldMessage;
  readonly claims: readonly Claim[];
  readonly others: readonly CounterEntry[];
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

const HEARTBEAT_MS = 2_000;
const LOOK_AGAIN_MS = 1_000;
// What one call to the counters takes at once.
const ENTRIES_TOGETHER = 1_000;
// Longer than S3 takes for a put on a bad day, shorter than anybody waits for an outcome.
const STAND_BACK_AFTER_MS = 5_000;
const SUSPEND_AFTER_MS = 60_000;
// An IAM policy that is being rolled out, or a clock that is being set, is mended within a minute.
const GIVE_UP_AFTER_MS = 60_000;
// What was put and not answered has arrived by then, or never will.
const ARRIVES_WITHIN_MS = 600_000;
// Ours are 16 KiB, or one entry. One of 16 MiB could have a million lines, and each is work.
const MAX_PAGE_BYTES = 1024 * 1024;
/** Lines for a newer version that are passed on together. */
const LATER_CHARACTERS = 8 * 1024;
const KNOWN_REASON = 'its id was met before in another run';
const PROBE_PAUSE_TRIES = 4;

export class Recorder {
  readonly #options: RecorderOptions;
  readonly #held = new Set<HeldMessage>();
  /** Those of them that were not read yet. */
  readonly #received: HeldMessage[] = [];
  readonly #openBatches = new Map<OutcomeStatus, Batch>();
  readonly #storing = new Set<Promise<void>>();
  /** Objects of ours that are open or being stored: who meets their claims waits. */
  readonly #ownObjectIds = new Set<string>();
  readonly #redis: StoreWatch;
  readonly #s3: StoreWatch;
  /** Steps that claim or close follow one another: a batch is never closed while a claim for it is unanswered. */
  #steps: Promise<void> = Promise.resolve();
  #stepCount = 0;
  #fullBatches: Batch[] = [];
  #contested: ContestedOutcome[] = [];
  #batchCount = 0;
  #isDraining = false;
  /** The store that is away, while no more messages are taken. */
  #standsBackFor: StoreWatch | undefined;
  /** The same while recording is suspended. */
  #suspendedBy: StoreWatch | undefined;
  #isProbing = false;
  /** One for the whole life: each probe writes the same object. */
  #probeObjectId: string | undefined;
  #cancelHeartbeat: () => void = () => {};
  #cancelCloseTimer: (() => void) | undefined;
  #rebuild: Promise<void> | undefined;

  constructor(options: RecorderOptions) {
    this.#options = options;
    this.#redis = new StoreWatch('Redis', options.clock, options.log);
    this.#s3 = new StoreWatch('S3', options.clock, options.log);
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
    // A recorder that drained holds no claims, so it signs off. One that ran out of time keeps its sign of life: its
    // last put may still arrive.
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
    if (this.#received.push(held) === 1) this.#step(() => this.#handleReceived());
  }

  #step(step: () => Promise<void>): void {
    this.#stepCount += 1;
    this.#steps = this.#steps
      .then(step)
      .catch((error: unknown) => {
        // At the end of the shutdown timeout its messages stay unacknowledged.
        if (!(error instanceof StoppedError)) this.#options.log.error({ err: error }, 'recording broke off');
      })
      .finally(() => {
        this.#stepCount -= 1;
        this.#closeDueBatches();
      });
  }

  /** Counts what has come in since the last step in one call: after an outage thousands of small messages wait. */
  async #handleReceived(): Promise<void> {
    const pages: Page[] = [];
    for (let count = 0; this.#received.length > 0 && count < ENTRIES_TOGETHER; ) {
      const held = this.#received.shift();
      const page = held === undefined ? undefined : this.#read(held);
      if (page === undefined) continue;
      pages.push(page);
      count += page.claims.length + page.others.length;
    }
    if (this.#received.length > 0) this.#step(() => this.#handleReceived());
    await this.#count(pages);
  }

  /** Counts pages together; where that throws, each by itself, so that one harms no other. */
  async #count(pages: readonly Page[]): Promise<void> {
    try {
      const claims = pages.flatMap((page) => page.claims);
      const others = pages.flatMap((page) => page.others);
      if (claims.length + others.length > 0) await this.#claim(claims, others);
    } catch (error) {
      if (error instanceof StoppedError) throw error;
      if (pages.length > 1) {
        for (const page of pages) await this.#count([page]);
        return;
      }
      for (const { held } of pages) this.#breakOff(held, error);
    }
    for (const { held } of pages) this.#release(held);
  }

  /** What a message asks for; undefined where it is settled without. */
  #read(held: HeldMessage): Page | undefined {
    if (!held.delivery.isLive()) {
      this.#held.delete(held);
      return undefined;
    }
    const claims: Claim[] = [];
    const others: CounterEntry[] = [];
    if (held.delivery.message.body.length > MAX_PAGE_BYTES) {
      held.parkingReason = TOO_LARGE_JOURNAL;
      return { held, claims, others };
    }
    try {
      const { entries, newerLines, unreadableCount } = decodeJournal(held.delivery.message.body);
      if (unreadableCount > 0) held.parkingReason = UNREADABLE_JOURNAL;
      for (const entry of entries) {
        if (!this.#isOurs(entry)) held.parkingReason ??= OF_ANOTHER_QUEUE;
        else if (entry.kind === 'outcome')
          claims.push({ outcome: this.#describe(entry.record, entry.line), held });
        else {
          others.push(entry);
          if (entry.kind === 'accepted') this.#announce(entry.announcement, held);
        }
      }
      for (const lines of gathered(newerLines)) this.#keepForLater(lines, held);
    } catch (error) {
      this.#breakOff(held, error);
    }
    return { held, claims, others };
  }

  /** Readers of S3 look at what names their QUEUE_NAME only: all else would be counted and never found. */
  #isOurs(entry: JournalEntry): boolean {
    const { queue } = this.#options;
    if (entry.kind === 'outcome') return entry.record.queue === queue;
    return entry.kind !== 'accepted' || entry.announcement.queue === queue;
  }

  /** The message is parked because of an error that nobody thought of. */
  #breakOff(held: HeldMessage, error: unknown): void {
    this.#options.log.error({ err: error }, 'a journal message cannot be recorded');
    held.parkingReason ??= BROKE_OFF;
  }

  #describe(record: OutcomeRecord, line: Buffer): ClaimedOutcome {
    return { summary: summarise(record, this.#options.digest), line };
  }

  /** Counts and claims in one call, then places each outcome by its answer. */
  async #claim(claims: readonly Claim[], others: readonly CounterEntry[] = []): Promise<void> {
    const batches = claims.map(({ outcome }) => this.#batchFor(outcome.summary.status));
    const entries = claims.map(({ outcome, insteadOfObjectId }, index): CounterEntry => {
      const objectId = batches[index]?.objectId ?? '';
      const entry = { kind: 'outcome', outcome: outcome.summary, objectId } as const;
      return insteadOfObjectId === undefined ? entry : { ...entry, insteadOfObjectId };
    });
    const answers = await this.#untilCounted(() => this.#options.counters.record([...others, ...entries]));
    const known: Claim[] = [];
    claims.forEach((claim, index) => {
      const batch = batches[index];
      const answer = answers[index];
      if (answer?.kind === 'known') known.push(claim);
      else if (batch !== undefined && answer !== undefined) this.#place(claim, batch, answer);
    });
    if (known.length > 0) this.#claimAsKnown(known);
  }

  /** SMS that have their outcome in another run: their own run gets a record that says so. */
  #claimAsKnown(known: readonly Claim[]): void {
    for (const { held } of known) held.openCount += 1;
    this.#countLater(
      known.map(({ outcome, held }) => {
        const record: OutcomeRecord = {
          ...JSON.parse(outcome.line.toString()),
          status: 'known',
          reason: KNOWN_REASON,
        };
        return { outcome: this.#describe(record, Buffer.from(JSON.stringify(record))), held };
      }),
    );
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
      const { recorderId, clock } = this.#options;
      batch = new OutcomeBatch(status, recorderId, this.#batchCount, clock.nowMs());
      this.#ownObjectIds.add(batch.objectId);
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
      this.#contest({ outcome, held, answer });
    }
  }

  #release(held: HeldMessage): void {
    held.openCount -= 1;
    if (held.openCount > 0) return;
    const { delivery, parkingReason } = held;
    if (parkingReason === undefined) {
      delivery.acknowledge();
      this.#held.delete(held);
    } else {
      const parked = this.#options.passOn.park(delivery, parkingReason);
      this.#inBackground(parked.then(() => void this.#held.delete(held)));
    }
  }

  #keepForLater(lines: string, held: HeldMessage): void {
    held.openCount += 1;
    this.#inBackground(this.#ofMessage(held, () => this.#options.later.append(lines)));
  }

  /** Something that a message waits for, whatever becomes of it. */
  async #ofMessage(held: HeldMessage, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (error instanceof StoppedError) throw error;
      this.#breakOff(held, error);
    }
    this.#release(held);
  }

  // ---- Contested outcomes

  #contest(contested: ContestedOutcome): void {
    if (this.#contested.push(contested) > 1) return;
    this.#options.clock.after(LOOK_AGAIN_MS, () => this.#inBackground(this.#lookAgain()));
  }

  /** Asks again where the owner lives; reads the object of an owner that is gone and takes over what is not in it. */
  async #lookAgain(): Promise<void> {
    const contested = this.#contested.filter(({ held }) => held.delivery.isLive());
    // What came on a channel that died is not ours and comes again: keeping it would add up over many deaths.
    for (const { held } of this.#contested) if (!held.delivery.isLive()) this.#release(held);
    this.#contested = [];
    this.#countLater(contested.filter(({ answer }) => this.#mustWaitFor(answer)));
    const leftBehind = contested.filter(({ answer }) => !this.#mustWaitFor(answer));
    const objectIds = new Set(leftBehind.map(({ answer }) => answer.objectId));
    await Promise.all(
      [...objectIds].map((objectId) =>
        this.#takeOver(
          objectId,
          leftBehind.filter(({ answer }) => answer.objectId === objectId),
        ),
      ),
    );
  }

  /** Counts claims in a step of their own; each of them is open in its message. */
  #countLater(claims: readonly Claim[]): void {
    this.#step(async () => {
      const pages = pagesOf(claims);
      // From here on a message waits for its page, not for each claim.
      for (const page of pages) page.held.openCount -= page.claims.length - 1;
      await this.#count(pages);
    });
  }

  #mustWaitFor({ objectId, isOwnerAlive }: ContestedOutcome['answer']): boolean {
    const isOurs = recorderOf(objectId) === this.#options.recorderId;
    return isOurs ? this.#ownObjectIds.has(objectId) : isOwnerAlive;
  }

  /** Counts what the object holds as recorded; returns claims for the rest, none where it cannot be read yet. */
  async #takeOver(objectId: string, contested: readonly ContestedOutcome[]): Promise<void> {
    try {
      const stored = await this.#readLeftBehind(objectId, contested);
      if (stored !== undefined) await this.#claimLeftBehind(objectId, contested, stored);
    } catch (error) {
      if (error instanceof StoppedError) throw error;
      for (const { held } of contested) {
        this.#breakOff(held, error);
        this.#release(held);
      }
    }
  }

  /** Counts what the object holds, and claims the rest. What is counted is asked for again: it may be of another run. */
  async #claimLeftBehind(
    objectId: string,
    contested: readonly ContestedOutcome[],
    stored: ReadonlyMap<string, OutcomeRecord>,
  ): Promise<void> {
    const { counters, digest } = this.#options;
    const found = contested.flatMap(({ outcome }) => stored.get(outcome.summary.smsId) ?? []);
    if (found.length > 0) {
      await this.#untilCounted(() =>
        counters.restore(
          objectId,
          found.map((record) => summarise(record, digest)),
        ),
      );
    }
    this.#countLater(
      contested.map(({ outcome, held }) =>
        stored.has(outcome.summary.smsId)
          ? { outcome, held }
          : { outcome, held, insteadOfObjectId: objectId },
      ),
    );
  }

  /** The records of an object by SMS. One try: where it fails, those who wait for it wait on. */
  async #readLeftBehind(
    objectId: string,
    contested: readonly ContestedOutcome[],
  ): Promise<ReadonlyMap<string, OutcomeRecord> | undefined> {
    const { prefixes, objects, queue } = this.#options;
    const keys = new Set(contested.map(({ answer }) => outcomeObjectKey(prefixes[answer.status], objectId)));
    const stored = new Map<string, OutcomeRecord>();
    const operation = `get ${objectId}`;
    const startedAtMs = this.#options.clock.nowMs();
    try {
      for (const key of keys) {
        const { records } = parseOutcomeObject((await objects.get(key)) ?? Buffer.alloc(0));
        for (const record of records) if (record.queue === queue) stored.set(identityOf(record), record);
      }
      this.#noteS3Success(operation, startedAtMs);
      return stored;
    } catch (error) {
      this.#noteS3Failure(operation, error, startedAtMs);
      if (this.#s3.isRefusedFor(GIVE_UP_AFTER_MS, operation)) this.#giveUpReading(objectId, contested, error);
      else for (const each of contested) this.#contest(each);
      return undefined;
    }
  }

  #giveUpReading(objectId: string, contested: readonly ContestedOutcome[], error: unknown): void {
    this.#s3.forget(`get ${objectId}`);
    for (const { held } of contested) {
      held.parkingReason ??= `S3 refuses to read ${objectId}: ${describeError(error)}`;
      this.#release(held);
    }
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
    if (batch.size === 0) this.#ownObjectIds.delete(batch.objectId);
    else this.#inBackground(this.#storeSafely(batch));
  }

  /** However it ends, nobody waits for it any more. */
  async #storeSafely(batch: Batch): Promise<void> {
    try {
      await this.#store(batch);
    } catch (error) {
      if (error instanceof StoppedError) throw error;
      for (const held of batch.waiters) this.#breakOff(held, error);
    }
    this.#ownObjectIds.delete(batch.objectId);
    for (const held of batch.waiters) this.#release(held);
  }

  async #store(batch: Batch): Promise<void> {
    const { counters, prefixes } = this.#options;
    const { objectId, smsIds } = batch;
    const key = outcomeObjectKey(prefixes[batch.status], objectId);
    const refusal = await this.#putUntilStored(`put ${prefixes[batch.status]}/`, key, batch.encode());
    if (refusal !== undefined) return this.#giveUpStoring(batch, refusal);
    const settled = smsIds.filter((smsId) => !batch.retoldIds.has(smsId));
    const strangers = await this.#untilCounted(() => counters.settle(objectId, settled));
    const strange = [...strangers, ...batch.retoldIds];
    if (strange.length > 0) await this.#restore(batch, strange);
  }

  /**
   * The object was never written, so its claims are given back and its journal messages are parked. Records of parked
   * messages wait for S3 to take them: parking them would make records of parked messages.
   */
  async #giveUpStoring(batch: Batch, refusal: string): Promise<void> {
    const { counters, later, log } = this.#options;
    const { objectId, smsIds, status } = batch;
    log.warn({ objectId, status, outcomes: batch.size }, refusal);
    await this.#untilCounted(() => counters.abandon(objectId, smsIds));
    if (status === 'parked')
      await Promise.all(smsIds.map((smsId) => later.append(batch.lineOf(smsId)?.toString() ?? '')));
    else for (const held of batch.waiters) held.parkingReason ??= refusal;
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
    // One object a second is enough to begin from; Redis hears of each.
    if (announcement.isInterim === true) return;
    held.openCount += 1;
    this.#inBackground(this.#ofMessage(held, () => this.#storeAnnouncement(announcement, held)));
  }

  async #storeAnnouncement(announcement: RunAnnouncement, held: HeldMessage): Promise<void> {
    const { counters } = this.#options;
    const key = announcementKey(announcement.run, announcement.accepted);
    const body = Buffer.from(`${JSON.stringify(announcement)}\n`);
    const refusal = await this.#putUntilStored('put runs/', key, body);
    if (refusal !== undefined) held.parkingReason ??= refusal;
    // Counted with its message already, but a Redis that was emptied meanwhile could not read it in S3 yet.
    else await this.#untilCounted(() => counters.record([{ kind: 'accepted', announcement }]));
  }

  // What breaks off at the end of the shutdown timeout stays unacknowledged, and drain says so.
  #inBackground(storing: Promise<void>): void {
    const tracked = storing
      .catch((error: unknown) => {
        if (!(error instanceof StoppedError)) this.#options.log.error({ err: error }, 'storing broke off');
      })
      .finally(() => this.#storing.delete(tracked));
    this.#storing.add(tracked);
  }

  // ---- Stores that are away, and those that refuse

  /** Puts until S3 has it; undefined then, or why it never will. */
  async #putUntilStored(operation: string, key: string, body: Buffer): Promise<string | undefined> {
    let unclearAtMs: number | undefined;
    for (let failedTries = 0; ; failedTries += 1) {
      const startedAtMs = this.#options.clock.nowMs();
      try {
        await this.#options.objects.put(key, body);
        this.#noteS3Success(operation, startedAtMs);
        return undefined;
      } catch (error) {
        this.#noteS3Failure(operation, error, startedAtMs);
        if (!isRefusal(error)) unclearAtMs = this.#options.clock.nowMs();
        if (this.#s3.isRefusedFor(GIVE_UP_AFTER_MS, operation)) {
          const isThere = unclearAtMs === undefined ? false : await this.#isThere(key);
          if (isThere === true) return undefined;
          // Some stores do not even say whether an object is there.
          const hasArrived = this.#options.clock.nowMs() - (unclearAtMs ?? 0) >= ARRIVES_WITHIN_MS;
          if (isThere === false || hasArrived) return `S3 refuses to ${operation}: ${describeError(error)}`;
        }
        await this.#options.pause(failedTries);
      }
    }
  }

  /** Whether an earlier try, which ended without an answer, was carried out; undefined where S3 does not say. */
  async #isThere(key: string): Promise<boolean | undefined> {
    try {
      return (await this.#options.objects.get(key)) !== undefined;
    } catch {
      return undefined;
    }
  }

  #noteS3Success(operation: string, startedAtMs: number): void {
    this.#s3.noteSuccess(operation, startedAtMs);
    this.#resume(this.#s3);
  }

  /** @param startedAtMs when the call began: one that hangs has failed from there on */
  #noteS3Failure(operation: string, error: unknown, startedAtMs: number): void {
    this.#s3.noteFailure(operation, error, startedAtMs);
    if (!this.#s3.isAwayFor(STAND_BACK_AFTER_MS) || this.#isDraining) return;
    this.#standBack(this.#s3);
    if (this.#isProbing) return;
    this.#isProbing = true;
    this.#probe()
      .catch(() => {})
      .finally(() => {
        this.#isProbing = false;
      });
  }

  /**
   * Tries whether S3 takes anything at all; where it does not for a minute, recording is suspended until it does. Tries
   * again where something failed during a try: perhaps nothing else is put any more.
   */
  async #probe(): Promise<void> {
    while (!(await this.#canStoreSomething()) || this.#standsBackFor === this.#s3) {
      if (this.#s3.isAwayFor(SUSPEND_AFTER_MS)) this.#suspend(this.#s3);
      await this.#options.pause(PROBE_PAUSE_TRIES);
      if (!this.#s3.isAway || this.#isDraining) return;
    }
  }

  /** Puts an empty outcome object, which no reader minds, under each prefix: what was tried may be all that S3 refuses. */
  async #canStoreSomething(): Promise<boolean> {
    const { objects, prefixes, clock, recorderId } = this.#options;
    const startedAtMs = clock.nowMs();
    this.#probeObjectId ??= outcomeObjectId(startedAtMs, recorderId, 0);
    const objectId = this.#probeObjectId;
    const puts = Object.values(prefixes).map(async (prefix) => {
      try {
        await objects.put(outcomeObjectKey(prefix, objectId), Buffer.alloc(0));
        this.#noteS3Success(`put ${prefix}/`, startedAtMs);
        return true;
      } catch (error) {
        this.#s3.noteFailure(`put ${prefix}/`, error, startedAtMs);
        return false;
      }
    });
    return (await Promise.all(puts)).includes(true);
  }

  async #untilCounted<Value>(call: () => Promise<Value>): Promise<Value> {
    for (let failedTries = 0; ; failedTries += 1) {
      const startedAtMs = this.#options.clock.nowMs();
      try {
        // Every call that counts is a sign of life, and while its answers are lost there must be none.
        if (this.#suspendedBy === this.#redis) await this.#options.counters.beat(false);
        const value = await call();
        this.#noteRedisSuccess(startedAtMs);
        return value;
      } catch (error) {
        // A refused call is an answer too, and perhaps the last call for long.
        if (error instanceof CallRefusedError) this.#noteRedisSuccess(startedAtMs);
        if (error instanceof CountersLostError) await this.#rebuildCounters();
        else if (error instanceof ServerUnavailableError) this.#noteRedisFailure(error, startedAtMs);
        else throw error;
        await this.#options.pause(failedTries);
      }
    }
  }

  #noteRedisSuccess(startedAtMs: number): void {
    this.#redis.noteSuccess('count', startedAtMs);
    this.#resume(this.#redis);
  }

  #noteRedisFailure(error: unknown, startedAtMs = this.#options.clock.nowMs()): void {
    this.#redis.noteFailure('count', error, startedAtMs);
    if (this.#redis.isAwayFor(STAND_BACK_AFTER_MS)) this.#standBack(this.#redis);
    if (this.#redis.isAwayFor(SUSPEND_AFTER_MS)) this.#suspend(this.#redis);
  }

  async #rebuildCounters(): Promise<void> {
    this.#rebuild ??= rebuildCounters({
      ...this.#options,
      onRead: (error) => this.#noteReading(error),
    }).finally(() => {
      this.#rebuild = undefined;
    });
    await this.#rebuild.catch((error: unknown) => {
      if (error instanceof StoppedError) throw error;
      this.#noteRedisFailure(error);
    });
  }

  #noteReading(error: unknown): void {
    const nowMs = this.#options.clock.nowMs();
    if (error === undefined) this.#noteS3Success('read', nowMs);
    else this.#noteS3Failure('read', error, nowMs);
  }

  #standBack(watch: StoreWatch): void {
    if (this.#standsBackFor !== undefined || this.#isDraining) return;
    this.#standsBackFor = watch;
    void this.#options.source.cancel();
  }

  #suspend(watch: StoreWatch): void {
    if (this.#suspendedBy !== undefined || this.#isDraining) return;
    this.#suspendedBy = watch;
    const { store } = watch;
    this.#options.log.warn({ store }, `${store} is away for a minute: outcomes wait in the journal queue`);
    void this.#options.source.release();
  }

  /** Goes on as soon as the store does anything at all: the other one is tried by what comes in then. */
  #resume(watch: StoreWatch): void {
    const isWaitedFor = this.#standsBackFor === watch || this.#suspendedBy === watch;
    if (!isWaitedFor || this.#isDraining) return;
    if (this.#standsBackFor === watch) this.#standsBackFor = undefined;
    if (this.#suspendedBy === watch) {
      this.#suspendedBy = undefined;
      this.#options.log.info({ store: watch.store }, `${watch.store} is back: recording goes on`);
    }
    if (this.#standsBackFor !== undefined || this.#suspendedBy !== undefined) return;
    this.#options.source.start((delivery) => this.#receive(delivery));
  }

  #beat(): void {
    const { counters } = this.#options;
    const beating = counters.beat(this.#suspendedBy === undefined, this.#s3.trouble);
    // A sender that leaves must not appear again.
    const tidying = beating.then(() => (this.#isDraining ? undefined : counters.tidy()));
    tidying.catch((error: unknown) => {
      // Rebuild also where there is nothing to record: else the books stay empty until the next SMS ends.
      const isNoticedHere = error instanceof CountersLostError && this.#stepCount === 0 && !this.#isDraining;
      if (isNoticedHere)
        this.#step(() =>
          this.#untilCounted(() => counters.beat(this.#suspendedBy === undefined, this.#s3.trouble)),
        );
    });
    this.#cancelHeartbeat = this.#options.clock.after(HEARTBEAT_MS, () => this.#beat());
  }
}

/** Lines joined to texts of some size: a promise for each would be most of the work. */
function gathered(lines: readonly string[]): string[] {
  const texts: string[] = [];
  let waiting: string[] = [];
  let characters = 0;
  for (const line of lines) {
    waiting.push(line);
    characters += line.length;
    if (characters < LATER_CHARACTERS) continue;
    texts.push(waiting.join('\n'));
    [waiting, characters] = [[], 0];
  }
  return waiting.length === 0 ? texts : [...texts, waiting.join('\n')];
}

/** Claims by their message. */
function pagesOf(claims: readonly Claim[]): Page[] {
  const byMessage = new Map<HeldMessage, Claim[]>();
  for (const claim of claims) {
    const known = byMessage.get(claim.held);
    if (known === undefined) byMessage.set(claim.held, [claim]);
    else known.push(claim);
  }
  return [...byMessage].map(([held, ofMessage]) => ({ held, claims: ofMessage, others: [] }));
}
