/**
 * The counters in memory, for rounds by the thousand: what the Lua of shared/adapters/redis/scripts.ts does, word for
 * word where order matters. counter-stores-agree.integration.test.ts holds the two against each other. What it leaves
 * out is what nothing decides by, the counts of the last seconds (`recent`) and why outcomes wait (`troubles`), and the
 * short texts of settled SMS.
 */

import { tokenOf, tokensOf } from '../adapters/redis/attempt-token.ts';
import {
  HEARTBEAT_GRACE_SECONDS,
  HEARTBEAT_LIFE_SECONDS,
  RESTORED_LIFE_SECONDS,
  RUN_STILL_SECONDS,
} from '../adapters/redis/keys.ts';
import { bucketOf } from '../domain/histogram.ts';
import type { OutcomeStatus, RunAnnouncement } from '../domain/outcome.ts';
import { recorderOf } from '../domain/outcome-object.ts';
import { CountersLostError } from '../errors.ts';
import type {
  ClaimAnswer,
  CounterEntry,
  CounterStore,
  OutcomeSummary,
  OutcomeSums,
  StoredOutcome,
} from '../ports.ts';

/** What is known of one SMS, the parts of its text in Redis. */
export interface SmsState {
  phase: 'p' | 'c' | 's';
  run: string;
  object: string;
  status: OutcomeStatus | '';
  digest: string;
  attempts: string;
  told: string;
  /** When Redis forgets it, milliseconds of its clock. */
  forgottenAtMs?: number;
}

/** A hash in Redis. */
export type Hash = Map<string, number | string>;

/** How a script gets to Redis and its answer back; each is a place for faults. */
export type Transport = <Value>(script: string, run: () => Value) => Promise<Value>;

const MAX_TOLD_CHARACTERS = 1_000;
const MAX_CONFLICTS = 1_000;
const REBUILD_LIFE_MS = HEARTBEAT_LIFE_SECONDS * 1_000;
const FORGET_SENDER_SECONDS = 3_600;
const RUNS_PER_CALL = 100;
/** What a run has beside its sums. */
const NO_SUMS = new Set([
  ...['announced', 'acceptedUpTo', 'announcedAt', 'input', 'hasInputConflict', 'maxLatenessMs'],
]);

const direct: Transport = async (_, run) => run();

/** The Redis process: its data, its clock, and the scripts. */
export class MemoryCounters {
  readonly sms = new Map<string, SmsState>();
  /** The hash of each run, open or summed. */
  readonly runs = new Map<string, Hash>();
  /** Open runs and the second of their last change. */
  readonly changedRuns = new Map<string, number>();
  /** The same of those whose counters are in the total. */
  readonly summedRuns = new Map<string, number>();
  readonly total: Hash = new Map();
  readonly alive = new Map<string, number>();
  readonly recorders = new Map<string, number>();
  readonly tidying = new Map<string, number>();
  readonly senders = new Map<string, string>();
  readonly conflicts = new Set<string>();
  readonly #nowMs: () => number;
  readonly #keepTimeMs: number;
  #processCount = 1;
  #generation: number | undefined;
  /** Granted on the data of one process: void on those of another. */
  #rebuild: { readonly owner: string; readonly process: number; untilMs: number } | undefined;

  /** @param nowMs the clock of Redis */
  constructor(nowMs: () => number, keepTimeMs: number) {
    this.#nowMs = nowMs;
    this.#keepTimeMs = keepTimeMs;
  }

  get keepTimeMs(): number {
    return this.#keepTimeMs;
  }

  get areValid(): boolean {
    return this.#generation === this.#processCount;
  }

  /** A recorder's view. */
  store(recorderId: string, transport: Transport = direct): CounterStore {
    return new MemoryCounterStore(this, recorderId, transport);
  }

  /** Emptied. */
  lose(): void {
    const { alive, recorders, tidying, senders } = this;
    for (const part of [...this.#counted, alive, recorders, tidying, senders]) part.clear();
    this.#generation = undefined;
    this.#rebuild = undefined;
  }

  /** Another process on the data of the one before. */
  restart(): void {
    this.#processCount += 1;
  }

  record(recorder: string, entries: readonly CounterEntry[]): ClaimAnswer[] {
    this.#requireValid();
    this.#beat(recorder);
    const script = this.#begin();
    const answers: ClaimAnswer[] = [];
    for (const entry of entries) {
      if (entry.kind === 'attempt') script.noteAttempt(entry.smsId, entry.run, tokenOf(entry.attempt));
      else if (entry.kind === 'accepted') this.#announce(entry.announcement, this.#second);
      else if (entry.kind === 'sender') this.#noteSender(entry.sender, JSON.stringify(entry.settings));
      else if (entry.kind === 'outcome')
        answers.push(script.claim(entry.outcome, entry.objectId, entry.insteadOfObjectId ?? ''));
    }
    script.writeCounts();
    return answers;
  }

  settle(recorder: string, objectId: string, smsIds: readonly string[]): string[] {
    this.#requireValid();
    this.#beat(recorder);
    const script = this.#begin();
    const strangers = [...new Set(smsIds)].filter((id) => !script.settle(id, objectId, this.#keepTimeMs));
    script.writeCounts();
    return strangers;
  }

  abandon(objectId: string, smsIds: readonly string[]): void {
    this.#requireValid();
    for (const id of smsIds) {
      const sms = this.load(id);
      if (sms?.phase !== 'c' || sms.object !== objectId) continue;
      this.save(id, { ...sms, phase: 'p', object: '', status: '' });
    }
  }

  /** @param rebuildTry empty while nobody rebuilds */
  restore(
    recorder: string,
    rebuildTry: string,
    objectId: string,
    outcomes: readonly (OutcomeSummary & Partial<StoredOutcome>)[],
  ): void {
    if (rebuildTry === '') this.#requireValid();
    else this.prolongRebuild(rebuildTry);
    this.#beat(recorder);
    const script = this.#begin();
    for (const outcome of outcomes) script.restore(outcome, objectId);
    script.writeCounts();
  }

  rebuildSums(rebuildTry: string, sums: readonly OutcomeSums[]): void {
    this.prolongRebuild(rebuildTry);
    const script = this.#begin();
    for (const each of sums) script.addSums(each);
    script.writeCounts(new Map(sums.map(({ run }) => [run, 0])));
  }

  rebuildAnnouncement(rebuildTry: string, announcement: RunAnnouncement): void {
    this.prolongRebuild(rebuildTry);
    const seconds = Math.floor(Date.parse(announcement.at) / 1_000);
    this.#announce(announcement, Number.isNaN(seconds) ? undefined : seconds, 0);
  }

  beginRebuild(recorder: string, rebuildTry: string): 'done' | 'mine' | 'others' {
    if (this.areValid) return 'done';
    const owner = this.#rebuildOwner();
    if (owner !== undefined && owner.split('/')[0] !== recorder) return 'others';
    this.#grant(rebuildTry);
    this.#generation = undefined;
    return 'mine';
  }

  clear(rebuildTry: string): void {
    this.prolongRebuild(rebuildTry);
    for (const part of this.#counted) part.clear();
  }

  prolongRebuild(rebuildTry: string): void {
    if (this.#rebuildOwner() !== rebuildTry) throw new CountersLostError();
    this.#grant(rebuildTry);
  }

  abandonRebuild(rebuildTry: string): void {
    if (this.#rebuildOwner() === rebuildTry) this.#rebuild = undefined;
  }

  endRebuild(rebuildTry: string): void {
    this.prolongRebuild(rebuildTry);
    this.#generation = this.#processCount;
    this.#rebuild = undefined;
  }

  beat(recorder: string, isRecording: boolean): void {
    this.alive.set(recorder, this.#second);
    if (isRecording) this.#beat(recorder);
    for (const [gone, seen] of this.alive) {
      if (seen > this.#second - FORGET_SENDER_SECONDS) continue;
      this.alive.delete(gone);
      this.recorders.delete(gone);
      this.senders.delete(gone);
    }
    this.#requireValid();
  }

  leave(recorder: string): void {
    for (const part of [this.alive, this.recorders, this.tidying, this.senders]) part.delete(recorder);
  }

  #noteSender(sender: string, settings: string): void {
    this.senders.set(sender, settings);
    if (!this.alive.has(sender)) this.alive.set(sender, this.#second - 2 * HEARTBEAT_LIFE_SECONDS);
  }

  /** True where there is more to do. */
  tidy(recorder: string): boolean {
    this.#requireValid();
    const wereAllAway = this.#livingIn(this.tidying, HEARTBEAT_LIFE_SECONDS - 1) === 0;
    if (wereAllAway || !this.total.has('since')) this.total.set('since', this.#second);
    this.tidying.set(recorder, this.#second);
    for (const [gone, seen] of this.tidying)
      if (seen <= this.#second - FORGET_SENDER_SECONDS) this.tidying.delete(gone);
    if (this.#livingIn(this.alive) > this.#livingIn(this.tidying)) return false;
    if (this.senders.size > this.alive.size)
      for (const sender of this.senders.keys()) if (!this.alive.has(sender)) this.senders.delete(sender);
    const keepSeconds = Math.ceil(this.#keepTimeMs / 1_000);
    const stillSeconds = Math.min(RUN_STILL_SECONDS, keepSeconds);
    if (this.#second - Number(this.total.get('since')) < stillSeconds) return false;
    const still = firstUpTo(this.changedRuns, this.#second - stillSeconds);
    for (const [run, at] of still) {
      const { accepted, ended } = booksOf(this.hashOf(run));
      if (accepted !== ended) this.changedRuns.set(run, this.#second);
      else {
        this.#moveSums(run, 1);
        this.changedRuns.delete(run);
        this.summedRuns.set(run, at);
      }
    }
    const over = firstUpTo(this.summedRuns, this.#second - keepSeconds - 1);
    for (const [run] of over) {
      this.summedRuns.delete(run);
      this.runs.delete(run);
      this.total.delete(`conflict:${run}`);
      addIn(this.total, 'gone', 1);
    }
    if (over.length > 0) addIn(this.total, 'moves', 1);
    return still.length === RUNS_PER_CALL || over.length === RUNS_PER_CALL;
  }

  #livingIn(senders: ReadonlyMap<string, number>, withinSeconds = HEARTBEAT_LIFE_SECONDS): number {
    return [...senders.values()].filter((seen) => seen >= this.#second - withinSeconds).length;
  }

  #moveSums(run: string, sign: 1 | -1): void {
    const { total } = this;
    const hash = this.hashOf(run);
    for (const [field, value] of hash) if (!NO_SUMS.has(field)) addIn(total, field, sign * Number(value));
    if (sign > 0 && hash.has('hasInputConflict')) total.set(`conflict:${run}`, 1);
    else total.delete(`conflict:${run}`);
    const late = hash.get('maxLatenessMs');
    if (sign > 0 && late !== undefined) raiseIn(total, 'maxLatenessMs', Number(late));
    addIn(total, 'announced', sign * booksOf(hash).accepted);
    addIn(total, 'runs', sign);
    addIn(total, 'moves', 1);
  }

  /** Called before a run changes. @param at when it changed, where that is not now */
  openRun(run: string, at?: number): void {
    if (this.summedRuns.delete(run)) this.#moveSums(run, -1);
    const known = this.changedRuns.get(run);
    this.changedRuns.set(run, at === undefined ? this.#second : Math.max(at, known ?? at));
  }

  isAlive(recorder: string): boolean {
    const seen = this.recorders.get(recorder);
    return seen !== undefined && seen > this.#second - HEARTBEAT_LIFE_SECONDS;
  }

  load(id: string): SmsState | undefined {
    const state = this.sms.get(id);
    if (state?.forgottenAtMs === undefined || state.forgottenAtMs > this.#nowMs())
      return state && { ...state };
    this.sms.delete(id);
    return undefined;
  }

  /** How long a restored SMS is remembered. */
  lifeOf(finishedAtMs: number | undefined): number {
    if (finishedAtMs === undefined) return this.#keepTimeMs;
    const leastMs = Math.min(this.#keepTimeMs, RESTORED_LIFE_SECONDS * 1_000);
    return Math.min(
      this.#keepTimeMs,
      Math.max(leastMs, finishedAtMs + this.#keepTimeMs - Math.floor(this.#nowMs())),
    );
  }

  /** The second at which a run changed that is to be remembered for so long. */
  changeBefore(lifeMs: number): number {
    return Math.ceil((Math.floor(this.#nowMs()) + lifeMs - this.#keepTimeMs) / 1_000);
  }

  /** @param keepMs for how long; as long as it was to be kept where none is given */
  save(id: string, sms: SmsState, keepMs?: number): void {
    this.sms.set(id, keepMs === undefined ? sms : { ...sms, forgottenAtMs: this.#nowMs() + keepMs });
  }

  hashOf(run: string): Hash {
    const hash: Hash = this.runs.get(run) ?? new Map();
    this.runs.set(run, hash);
    return hash;
  }

  /** What a rebuild makes. */
  get #counted() {
    const { sms, runs, changedRuns, summedRuns, total, conflicts } = this;
    return [sms, runs, changedRuns, summedRuns, total, conflicts];
  }

  get #second(): number {
    return Math.floor(this.#nowMs() / 1_000);
  }

  #begin(): CountingScript {
    return new CountingScript(this);
  }

  #beat(recorder: string): void {
    this.alive.set(recorder, this.#second);
    const newest = Math.max(...this.recorders.values());
    if (newest <= this.#second - HEARTBEAT_LIFE_SECONDS) {
      const heardAt = this.#second - HEARTBEAT_LIFE_SECONDS + HEARTBEAT_GRACE_SECONDS;
      for (const [each, seen] of this.recorders)
        if (seen > newest - HEARTBEAT_LIFE_SECONDS) this.recorders.set(each, heardAt);
    }
    this.recorders.set(recorder, this.#second);
  }

  #requireValid(): void {
    if (!this.areValid) throw new CountersLostError();
  }

  #rebuildOwner(): string | undefined {
    const rebuild = this.#rebuild;
    const isInForce =
      rebuild !== undefined && rebuild.process === this.#processCount && rebuild.untilMs > this.#nowMs();
    return isInForce ? rebuild.owner : undefined;
  }

  #grant(owner: string): void {
    this.#rebuild = { owner, process: this.#processCount, untilMs: this.#nowMs() + REBUILD_LIFE_MS };
  }

  /** @param changedAt where the run did not change now */
  #announce(announcement: RunAnnouncement, atSeconds: number | undefined, changedAt?: number): void {
    const { run, accepted, acceptedUpTo, input } = announcement;
    this.openRun(run, changedAt);
    const hash = this.hashOf(run);
    raiseIn(hash, 'announced', accepted);
    raiseIn(hash, 'acceptedUpTo', acceptedUpTo);
    if (!hash.has('input')) {
      hash.set('input', input);
      if (atSeconds !== undefined) hash.set('announcedAt', atSeconds);
    } else if (hash.get('input') !== input) hash.set('hasInputConflict', 1);
  }

  noteConflictingId(id: string): void {
    if (this.conflicts.size < MAX_CONFLICTS) this.conflicts.add(id);
  }
}

/** One run of a counting script: its increments are written at its end, as one. */
class CountingScript {
  readonly #counters: MemoryCounters;
  readonly #increments = new Map<string, Map<string, number>>();
  readonly #latest = new Map<string, number>();
  readonly #changedAt = new Map<string, number>();

  constructor(counters: MemoryCounters) {
    this.#counters = counters;
  }

  noteAttempt(id: string, run: string, token: string): void {
    const sms = this.#loadOrMeet(id, run);
    const known = byNumber(sms.attempts).get(numberOf(token));
    if (known !== undefined && fingerprintOf(known) === fingerprintOf(token)) return;
    if (known !== undefined || sms.phase !== 'p') this.#noteRepeat(sms, token);
    else {
      sms.attempts = sms.attempts === '' ? token : `${sms.attempts},${token}`;
      this.#count(sms.run, token, 1);
    }
    this.#counters.save(id, sms);
  }

  claim(outcome: OutcomeSummary, objectId: string, insteadOf: string): ClaimAnswer {
    const { smsId, run, status, contentDigest } = outcome;
    const attempts = tokensOf(outcome.attempts);
    const sms = this.#loadOrMeet(smsId, run);
    const isLeftBehind = sms.phase === 'c' && insteadOf !== '' && sms.object === insteadOf;
    if (sms.phase === 'p' || isLeftBehind) {
      this.#reconcile(sms, run, attempts);
      this.#chooseContent(smsId, sms, contentDigest);
      Object.assign(sms, { phase: 'c', object: objectId, status });
      this.#counters.save(smsId, sms);
      return { kind: 'claimed' };
    }
    const toldBefore = sms.told;
    this.#tell(smsId, sms, contentDigest, attempts);
    if (sms.told !== toldBefore) this.#counters.save(smsId, sms);
    if (sms.phase === 's') return { kind: sms.run === run ? 'recorded' : 'known' };
    if (sms.object === objectId && sms.run === run) return { kind: 'claimed' };
    const isOwnerAlive = this.#counters.isAlive(recorderOf(sms.object) ?? '');
    return { kind: 'elsewhere', objectId: sms.object, status: sms.status || status, isOwnerAlive };
  }

  /** False where the claim is not the object's. */
  settle(id: string, objectId: string, keepMs: number): boolean {
    const sms = this.#counters.load(id);
    if (sms === undefined || sms.object !== objectId || sms.phase === 'p') return false;
    if (sms.phase === 's') return true;
    sms.phase = 's';
    this.#add(sms.run, sms.status, 1);
    this.#counters.save(id, sms, keepMs);
    return true;
  }

  restore(outcome: OutcomeSummary & Partial<StoredOutcome>, objectId: string): void {
    const { smsId, run, status, contentDigest, finishedAtMs } = outcome;
    const attempts = tokensOf(outcome.attempts);
    const known = this.#counters.load(smsId);
    const knownAtMs = known && finishOf(known);
    const isOther =
      finishedAtMs !== undefined &&
      knownAtMs !== undefined &&
      Math.abs(finishedAtMs - knownAtMs) > this.#counters.keepTimeMs;
    const sms = known === undefined || isOther ? this.#meet(run) : known;
    if (sms.phase === 's' && sms.object <= objectId) {
      if (sms.object === objectId) return;
      this.#tell(smsId, sms, contentDigest, attempts);
      this.#counters.save(smsId, sms);
      return;
    }
    if (sms.phase === 's') this.#add(sms.run, sms.status, -1);
    this.#reconcile(sms, run, attempts);
    this.#chooseContent(smsId, sms, contentDigest);
    Object.assign(sms, { phase: 's', object: objectId, status });
    this.#add(run, status, 1);
    if (finishedAtMs !== undefined)
      sms.told = `;@${Math.max(0, finishedAtMs).toString(36)};${sms.told.replace(/;@\w+;/g, '')}`;
    const lifeMs = this.#counters.lifeOf(finishedAtMs);
    if (finishedAtMs !== undefined) {
      const changedAt = this.#counters.changeBefore(lifeMs);
      this.#changedAt.set(run, Math.max(this.#changedAt.get(run) ?? 0, changedAt));
    }
    if (!(isOther && knownAtMs > finishedAtMs)) this.#counters.save(smsId, sms, lifeMs);
  }

  addSums(sums: OutcomeSums): void {
    const { run } = sums;
    for (const field of ['met', 'sent', 'failed', 'parked', 'known', 'attempts', 'attemptsFailed'] as const)
      this.#add(run, field, sums[field]);
    this.#add(run, 'processingMs', sums.processingMsSum);
    const named = [
      ['attempt', sums.attemptsByNumber],
      ['processing', sums.processingBuckets],
      ['lateness', sums.latenessBuckets],
    ] as const;
    for (const [name, counts] of named)
      for (const [number, count] of counts) this.#add(run, `${name}:${number}`, count);
    const latest = this.#latest.get(run) ?? Number.NEGATIVE_INFINITY;
    if (sums.maxLatenessMs !== undefined) this.#latest.set(run, Math.max(latest, sums.maxLatenessMs));
  }

  /** @param changedAt when runs changed, where that is not now */
  writeCounts(changedAt: ReadonlyMap<string, number> = this.#changedAt): void {
    for (const [run, fields] of this.#increments) {
      this.#counters.openRun(run, changedAt.get(run));
      const hash = this.#counters.hashOf(run);
      for (const [field, by] of fields) addIn(hash, field, by);
    }
    for (const [run, lateMs] of this.#latest) raiseIn(this.#counters.hashOf(run), 'maxLatenessMs', lateMs);
  }

  #loadOrMeet(id: string, run: string): SmsState {
    const known = this.#counters.load(id);
    return known ?? this.#meet(run);
  }

  #meet(run: string): SmsState {
    this.#add(run, 'met', 1);
    return { phase: 'p', run, object: '', status: '', digest: '', attempts: '', told: '' };
  }

  #add(run: string, field: string, by: number): void {
    const fields = this.#increments.get(run) ?? new Map<string, number>();
    this.#increments.set(run, fields);
    fields.set(field, (fields.get(field) ?? 0) + by);
  }

  #count(run: string, token: string, sign: 1 | -1): void {
    const [number, , took, late, result] = token.split(':');
    this.#add(run, 'attempts', sign);
    this.#add(run, `attempt:${number}`, sign);
    this.#add(run, 'processingMs', sign * Number(took));
    this.#add(run, `processing:${bucketOf(Number(took))}`, sign);
    if (result === 'f') this.#add(run, 'attemptsFailed', sign);
    if (late === '' || late === undefined) return;
    this.#add(run, `lateness:${bucketOf(Number(late))}`, sign);
    const latest = this.#latest.get(run) ?? Number.NEGATIVE_INFINITY;
    if (sign > 0 && Number(late) > latest) this.#latest.set(run, Number(late));
  }

  #tellOnce(sms: SmsState, what: string): boolean {
    const mark = `;${what};`;
    if (sms.told.includes(mark)) return false;
    if (sms.told.length < MAX_TOLD_CHARACTERS) sms.told += mark;
    return true;
  }

  #noteRepeat(sms: SmsState, token: string): void {
    if (this.#tellOnce(sms, fingerprintOf(token))) this.#add(sms.run, 'repeatedSends', 1);
  }

  #takeBack(sms: SmsState, what: string, field: string): void {
    const told = sms.told.replace(`;${what};`, '');
    if (told === sms.told) return;
    sms.told = told;
    this.#add(sms.run, field, -1);
  }

  #noteConflict(id: string, sms: SmsState, digest: string): void {
    const short = shorten(digest);
    if (shorten(sms.digest) === short || !this.#tellOnce(sms, `!${short}`)) return;
    this.#add(sms.run, 'idConflicts', 1);
    this.#counters.noteConflictingId(id);
  }

  #chooseContent(id: string, sms: SmsState, digest: string): void {
    const old = sms.digest;
    sms.digest = digest;
    this.#takeBack(sms, `!${shorten(digest)}`, 'idConflicts');
    if (old !== '') this.#noteConflict(id, sms, old);
  }

  #reconcile(sms: SmsState, run: string, attempts: string): void {
    if (sms.run !== run) this.#moveTo(sms, run);
    if (sms.attempts === attempts) return;
    const [old, chosen] = [byNumber(sms.attempts), byNumber(attempts)];
    for (const [number, token] of old) {
      const other = chosen.get(number);
      if (other !== token) this.#count(run, token, -1);
      if (other === undefined || fingerprintOf(other) !== fingerprintOf(token)) this.#noteRepeat(sms, token);
    }
    for (const [number, token] of chosen) {
      if (old.get(number) === token) continue;
      this.#count(run, token, 1);
      this.#takeBack(sms, fingerprintOf(token), 'repeatedSends');
    }
    sms.attempts = attempts;
  }

  #moveTo(sms: SmsState, run: string): void {
    for (const token of byNumber(sms.attempts).values()) {
      this.#count(sms.run, token, -1);
      this.#count(run, token, 1);
    }
    this.#add(sms.run, 'met', -1);
    this.#add(run, 'met', 1);
    sms.run = run;
  }

  #tell(id: string, sms: SmsState, digest: string, attempts: string): void {
    this.#noteConflict(id, sms, digest);
    if (attempts === sms.attempts) return;
    for (const token of byNumber(attempts).values()) {
      if (!`,${sms.attempts}`.includes(`,${fingerprintOf(token)}:`)) this.#noteRepeat(sms, token);
    }
  }
}

/** `RedisCounterStore` with a script of memory for each of Lua. */
class MemoryCounterStore implements CounterStore {
  readonly #counters: MemoryCounters;
  readonly #recorderId: string;
  readonly #transport: Transport;
  #rebuildCount = 0;

  constructor(counters: MemoryCounters, recorderId: string, transport: Transport) {
    this.#counters = counters;
    this.#recorderId = recorderId;
    this.#transport = transport;
  }

  get keepTimeMs(): number {
    return this.#counters.keepTimeMs;
  }

  record(entries: readonly CounterEntry[]): Promise<ClaimAnswer[]> {
    return this.#transport('record', () => this.#counters.record(this.#recorderId, entries));
  }

  settle(objectId: string, smsIds: readonly string[]): Promise<string[]> {
    return this.#transport('settle', () => this.#counters.settle(this.#recorderId, objectId, smsIds));
  }

  restore(objectId: string, outcomes: readonly OutcomeSummary[]): Promise<void> {
    return this.#transport('restore', () => this.#counters.restore(this.#recorderId, '', objectId, outcomes));
  }

  abandon(objectId: string, smsIds: readonly string[]): Promise<void> {
    return this.#transport('abandon', () => this.#counters.abandon(objectId, smsIds));
  }

  beat(isRecording: boolean): Promise<void> {
    return this.#transport('beat', () => this.#counters.beat(this.#recorderId, isRecording));
  }

  async tidy(): Promise<void> {
    while (await this.#transport('tidy', () => this.#counters.tidy(this.#recorderId)));
  }

  leave(): Promise<void> {
    return this.#transport('leave', () => this.#counters.leave(this.#recorderId));
  }

  async beginRebuild(): Promise<'done' | 'mine' | 'others'> {
    this.#rebuildCount += 1;
    const rebuildTry = this.#rebuildTry;
    const answer = await this.#transport('beginRebuild', () =>
      this.#counters.beginRebuild(this.#recorderId, rebuildTry),
    );
    if (answer === 'mine') await this.#transport('clear', () => this.#counters.clear(rebuildTry));
    return answer;
  }

  prolongRebuild(): Promise<void> {
    const rebuildTry = this.#rebuildTry;
    return this.#transport('prolongRebuild', () => this.#counters.prolongRebuild(rebuildTry));
  }

  abandonRebuild(): Promise<void> {
    const rebuildTry = this.#rebuildTry;
    return this.#transport('abandonRebuild', () => this.#counters.abandonRebuild(rebuildTry));
  }

  rebuildSums(sums: readonly OutcomeSums[]): Promise<void> {
    const rebuildTry = this.#rebuildTry;
    return this.#transport('rebuildSums', () => this.#counters.rebuildSums(rebuildTry, sums));
  }

  rebuildOutcomes(objectId: string, outcomes: readonly StoredOutcome[]): Promise<void> {
    const rebuildTry = this.#rebuildTry;
    return this.#transport('rebuildOutcomes', () =>
      this.#counters.restore(this.#recorderId, rebuildTry, objectId, outcomes),
    );
  }

  rebuildAnnouncement(announcement: RunAnnouncement): Promise<void> {
    const rebuildTry = this.#rebuildTry;
    return this.#transport('rebuildAnnouncement', () =>
      this.#counters.rebuildAnnouncement(rebuildTry, announcement),
    );
  }

  endRebuild(): Promise<void> {
    const rebuildTry = this.#rebuildTry;
    return this.#transport('endRebuild', () => this.#counters.endRebuild(rebuildTry));
  }

  get #rebuildTry(): string {
    return `${this.#recorderId}/${this.#rebuildCount}`;
  }
}

/** What was accepted and what has ended of a run: nothing is in progress where they are equal. */
function booksOf(hash: Hash): { readonly accepted: number; readonly ended: number } {
  const [announced = 0, met = 0, ...outcomes] = [
    ...['announced', 'met', 'sent', 'failed', 'parked', 'known'],
  ].map((field) => Number(hash.get(field) ?? 0));
  const ended = outcomes.reduce((sum, count) => sum + count, 0);
  return { accepted: Math.max(announced, met, ended), ended };
}

function addIn(hash: Hash, field: string, by: number): void {
  if (by !== 0) hash.set(field, Number(hash.get(field) ?? 0) + by);
}

function raiseIn(hash: Hash, field: string, value: number): void {
  const known = hash.get(field);
  if (known === undefined || Number(known) < value) hash.set(field, value);
}

/** As ZRANGEBYSCORE gives them. */
function firstUpTo(runs: ReadonlyMap<string, number>, last: number): [string, number][] {
  return [...runs]
    .filter(([, at]) => at <= last)
    .sort(([leftRun, left], [rightRun, right]) => left - right || (leftRun < rightRun ? -1 : 1))
    .slice(0, RUNS_PER_CALL);
}

function byNumber(attempts: string): Map<string, string> {
  return new Map(
    attempts
      .split(',')
      .filter((token) => token !== '')
      .map((token) => [numberOf(token), token]),
  );
}

function numberOf(token: string): string {
  return token.slice(0, token.indexOf(':'));
}

/** What is left of a digest where Redis keeps a short text. */
function shorten(digest: string): string {
  return digest.slice(-8);
}

/** When a restored SMS finished. */
function finishOf({ told }: SmsState): number | undefined {
  const mark = /;@(\w+);/.exec(told)?.[1];
  return mark === undefined ? undefined : Number.parseInt(mark, 36);
}

/** Number and start: what tells two executions apart. */
function fingerprintOf(token: string): string {
  return token.slice(0, token.indexOf(':', token.indexOf(':') + 1));
}
