import type { OutcomeRecord, OutcomeStatus } from '../../shared/domain/outcome/outcome.ts';
import { outcomeObjectKey, parseOutcomeObject } from '../../shared/domain/outcome/outcome-object.ts';
import { StoppedError } from '../../shared/errors.ts';
import type { CounterEntry } from '../../shared/ports/counter-store.ts';
import { ContestedOutcomes } from './contested-outcomes.ts';
import { OutcomeEvents } from './events/outcome-events.ts';
import { type Claim, OutcomeBatch } from './outcome-batch.ts';
import type { PatientStores } from './patient-stores.ts';
import type { RecorderOptions } from './recorder-options.ts';
import { summarise } from './summarise-outcome.ts';
import { type HeldMessage, RefusedForGoodError, type WorkInHand } from './work-in-hand.ts';

/** What a journal message asks for. */
export interface Page {
  readonly held: HeldMessage;
  readonly claims: readonly Claim[];
  readonly others: readonly CounterEntry[];
}

const KNOWN_REASON = 'its id was met before in another run';
/** A clock that is so far behind the newest object was set back. */
const SET_BACK_MS = 5_000;

/**
 * Counts what journal messages tell, and claims their outcomes for objects of ours; both are one call to Redis. Claimed
 * outcomes gather in one open batch per status. A batch is closed when it is full, old enough, or nothing more can come.
 * Then its object is put, its outcomes are settled, and its messages are released.
 *
 * A batch is closed only between steps, when no claim is unanswered: its object holds what was claimed for it.
 */
export class Claims {
  readonly #options: RecorderOptions;
  readonly #work: WorkInHand;
  readonly #stores: PatientStores;
  readonly #contested: ContestedOutcomes;
  /** Undefined where no events are wanted. */
  readonly #events: OutcomeEvents | undefined;
  readonly #openBatches = new Map<OutcomeStatus, OutcomeBatch>();
  /** Objects that are open or being stored: an outcome that one of them has claimed waits for it. */
  readonly #unfinishedIds = new Set<string>();
  /** Batches with all places taken, until the step ends. */
  #fullBatches: OutcomeBatch[] = [];
  #batchCount = 0;
  #newestOpenedAtMs = 0;
  #cancelCloseTimer: () => void = () => {};

  constructor(options: RecorderOptions, work: WorkInHand, stores: PatientStores) {
    this.#options = options;
    this.#work = work;
    this.#stores = stores;
    this.#contested = new ContestedOutcomes(options, work, stores, this);
    this.#events = options.events === undefined ? undefined : new OutcomeEvents(options.events, options);
  }

  /** True for an object of ours that is open or being stored. */
  isUnfinished(objectId: string): boolean {
    return this.#unfinishedIds.has(objectId);
  }

  /**
   * Counts pages in one call, and releases their messages. Where the call throws, each page is counted by itself, so that one
   * harms no other. Only ever called in a step.
   */
  async count(pages: readonly Page[]): Promise<void> {
    try {
      const claims = pages.flatMap((page) => page.claims);
      const others = pages.flatMap((page) => page.others);
      if (claims.length + others.length > 0) await this.#claim(claims, others);
    } catch (error) {
      if (error instanceof StoppedError) throw error;
      if (pages.length > 1) {
        for (const page of pages) await this.count([page]);
        return;
      }
      for (const { held } of pages) this.#work.breakOff(held, error);
    }
    for (const { held } of pages) held.release();
  }

  /** Claims in a step of its own, which the messages wait for. */
  claimLater(claims: readonly Claim[]): void {
    const byMessage = new Map<HeldMessage, Claim[]>();
    for (const claim of claims) {
      const ofMessage = byMessage.get(claim.held);
      if (ofMessage === undefined) byMessage.set(claim.held, [claim]);
      else ofMessage.push(claim);
    }
    for (const held of byMessage.keys()) held.hold();
    const pages = [...byMessage].map(([held, ofMessage]) => ({ held, claims: ofMessage, others: [] }));
    this.#work.runStep(() => this.count(pages));
  }

  /** Counts and claims in one call, then places each outcome by its answer. */
  async #claim(claims: readonly Claim[], others: readonly CounterEntry[]): Promise<void> {
    const placed = claims.map((claim) => ({ claim, batch: this.#reserve(claim.summary.status) }));
    const entries = placed.map(({ claim: { summary, insteadOfObjectId }, batch }): CounterEntry => {
      const entry = { kind: 'outcome', outcome: summary, objectId: batch.objectId } as const;
      return insteadOfObjectId === undefined ? entry : { ...entry, insteadOfObjectId };
    });
    const answers = await this.#stores.untilCounted((counters) => counters.record([...others, ...entries]));
    const known: Claim[] = [];
    const recorded: Claim[] = [];
    for (const [index, { claim, batch }] of placed.entries()) {
      const answer = answers[index];
      if (answer?.kind === 'claimed') batch.add(claim, this.#options.clock.nowMs());
      else if (answer?.kind === 'elsewhere') this.#contested.add(claim, answer);
      else if (answer?.kind === 'known') known.push(this.#asKnown(claim));
      else if (answer?.kind === 'recorded') recorded.push(claim);
    }
    if (known.length > 0) this.claimLater(known);
    if (recorded.length > 0) this.#publishEvents(recorded);
  }

  /** Of outcomes that are stored already: the recorder that stored them may have died before it published their events. */
  #publishEvents(recorded: readonly Claim[]): void {
    const events = this.#events;
    if (events === undefined) return;
    const messages = new Set(recorded.map(({ held }) => held));
    const lines = recorded.map(({ line }) => line);
    this.#work.runBesideFor(messages, () => events.publish(lines, () => isAnyLive(messages)));
  }

  /** The SMS has its outcome in another run: its own run gets a record that says so. */
  #asKnown({ line, held }: Claim): Claim {
    const told: OutcomeRecord = JSON.parse(line.toString());
    const record: OutcomeRecord = { ...told, status: 'known', reason: KNOWN_REASON };
    return {
      summary: summarise(record, this.#options.digest),
      line: Buffer.from(JSON.stringify(record)),
      held,
    };
  }

  /** The open batch of a status, with one more place taken. Where all places are taken, it is a new one. */
  #reserve(status: OutcomeStatus): OutcomeBatch {
    let batch = this.#openBatches.get(status);
    if (batch !== undefined && batch.claimCount >= this.#options.batchSize) {
      this.#fullBatches.push(batch);
      batch = undefined;
    }
    if (batch === undefined) {
      const { recorderId, clock } = this.#options;
      this.#batchCount += 1;
      // Redis tells the objects of one recorder apart by their milliseconds: see object-mark.ts. A clock that was set back
      // is followed, else ids would name a day to come.
      const nowMs = clock.nowMs();
      const isSetBack = nowMs < this.#newestOpenedAtMs - SET_BACK_MS;
      this.#newestOpenedAtMs = isSetBack ? nowMs : Math.max(nowMs, this.#newestOpenedAtMs + 1);
      batch = new OutcomeBatch(status, recorderId, this.#batchCount, this.#newestOpenedAtMs);
      this.#unfinishedIds.add(batch.objectId);
      this.#openBatches.set(status, batch);
    }
    batch.claimCount += 1;
    return batch;
  }

  /** Closes batches that are full or old enough. Only ever called where a step has ended. */
  closeDueBatches(): void {
    const { clock, prefetchCount, batchSize, batchMs } = this.#options;
    const nowMs = clock.nowMs();
    // RabbitMQ hands out nothing more, or we take nothing more.
    const canNothingCome = this.#work.messageCount >= prefetchCount || this.#work.isDraining;
    const isEverythingDue = this.#work.areStepsDone && canNothingCome;
    const batches = [...this.#fullBatches, ...this.#openBatches.values()];
    this.#fullBatches = [];
    for (const batch of batches) {
      const ageMs = batch.openedAtMs === undefined ? 0 : nowMs - batch.openedAtMs;
      // A batch from the future: the clock was stepped back.
      const isOld = ageMs >= batchMs || ageMs < 0;
      if (isOld || batch.claimCount >= batchSize || (isEverythingDue && batch.size > 0)) this.#close(batch);
    }
    this.#closeLater(nowMs);
  }

  cancelCloseTimer(): void {
    this.#cancelCloseTimer();
  }

  #closeLater(nowMs: number): void {
    this.#cancelCloseTimer();
    const openedAtMs = [...this.#openBatches.values()].flatMap((batch) => batch.openedAtMs ?? []);
    if (openedAtMs.length === 0) return;
    const waitMs = Math.max(0, Math.min(...openedAtMs) + this.#options.batchMs - nowMs);
    this.#cancelCloseTimer = this.#options.clock.after(waitMs, () => this.#work.runStep());
  }

  #close(batch: OutcomeBatch): void {
    if (this.#openBatches.get(batch.status) === batch) this.#openBatches.delete(batch.status);
    // However storing ends, nobody waits for the object any more. But its put may still arrive where time was over.
    const finish = (error?: unknown) => {
      if (!(error instanceof StoppedError)) this.#unfinishedIds.delete(batch.objectId);
    };
    if (batch.size === 0) finish();
    else
      this.#work.runBesideFor(batch.waiters, () =>
        this.#store(batch).then(finish, (error: unknown) => {
          finish(error);
          throw error;
        }),
      );
    // Storing holds each of them by now.
    for (const held of batch.waiters) held.release();
  }

  #store(batch: OutcomeBatch): Promise<void> {
    const { traces } = this.#options;
    if (traces === undefined) return this.#storeAndSettle(batch);
    return traces.record(batch.status, batch.lines, () => this.#storeAndSettle(batch));
  }

  async #storeAndSettle(batch: OutcomeBatch): Promise<void> {
    const { objectId, status, smsIds, retoldIds, reasons } = batch;
    const prefix = this.#options.prefixes[status];
    try {
      const key = outcomeObjectKey(prefix, objectId);
      await this.#stores.putUntilStored(`put ${prefix}/`, key, batch.encode());
    } catch (error) {
      if (!(error instanceof RefusedForGoodError)) throw error;
      return this.#giveBack(batch, error);
    }
    const settled = smsIds.filter((smsId) => !retoldIds.has(smsId));
    const strangers = await this.#stores.untilCounted((counters) =>
      counters.settle(objectId, settled, reasons),
    );
    await this.#restore(batch, [...strangers, ...retoldIds]);
    this.#options.onStored?.(status, batch.size);
    // Last: the books do not wait for other services.
    await this.#events?.publish(batch.lines, () => isAnyLive(batch.waiters));
  }

  /**
   * The object was never written, so its claims are given back and its journal messages are parked. Records of parked
   * messages wait for S3 to take them: parking them would make records of parked messages.
   */
  async #giveBack(batch: OutcomeBatch, refusal: RefusedForGoodError): Promise<void> {
    const { later, log } = this.#options;
    const { objectId, smsIds, status } = batch;
    log.warn({ objectId, status, outcomes: batch.size }, refusal.message);
    await this.#stores.untilCounted((counters) => counters.abandon(objectId, smsIds));
    if (status !== 'parked') throw refusal;
    await Promise.all(smsIds.map((smsId) => later.append(batch.lineOf(smsId))));
  }

  /**
   * Counts stored outcomes that Redis does not know as claimed for the object: another recorder took them over while we were
   * slow, or Redis was emptied. What was told twice for this object, and differently, is counted as it is stored.
   */
  async #restore(batch: OutcomeBatch, smsIds: readonly string[]): Promise<void> {
    if (smsIds.length === 0) return;
    const { records } = parseOutcomeObject(
      Buffer.from(smsIds.map((smsId) => batch.lineOf(smsId)).join('\n')),
    );
    const summaries = records.map((record) => summarise(record, this.#options.digest));
    await this.#stores.untilCounted((counters) => counters.restore(batch.objectId, summaries));
  }
}

/** False where RabbitMQ has taken back all of these messages: they come again. */
function isAnyLive(messages: ReadonlySet<HeldMessage>): boolean {
  return [...messages].some(({ delivery }) => delivery.isLive());
}
