/**
 * The counters in memory, for rounds by the thousand: what the Lua of shared/adapters/redis/scripts.ts does, word for
 * word where order matters. counter-stores-agree.integration.test.ts holds the two against each other. What it leaves
 * out is what nothing decides by, the counts of the last seconds (`recent`) and why outcomes wait (`troubles`), and the
 * short texts of settled SMS.
 */

import { tokenOf } from '../domain/outcome/attempt-token.ts';
import type { RunAnnouncement } from '../domain/outcome/outcome.ts';
import {
  GONE_AFTER_SECONDS,
  GRACE_SECONDS,
  RESTORED_LIFE_SECONDS,
  RUN_STILL_SECONDS,
} from '../domain/outcome/recorder-life.ts';
import { CountersLostError } from '../errors.ts';
import type {
  ClaimAnswer,
  CounterEntry,
  CounterStore,
  OutcomeSummary,
  OutcomeSums,
  ReasonsById,
  StoredOutcome,
} from '../ports/counter-store.ts';
import { CountingScript } from './counting-script.ts';
import { createMemoryCounterStore, type Transport } from './memory-counter-store.ts';
import {
  addIn,
  booksOf,
  firstUpTo,
  type Hash,
  NO_SUMS,
  RUNS_PER_CALL,
  raiseIn,
  type SmsState,
} from './redis-values.ts';

const REBUILD_LIFE_MS = GONE_AFTER_SECONDS * 1_000;
const FORGET_SENDER_SECONDS = 3_600;

/** A Redis process: its data, its clock and the scripts. */
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
  readonly namedReasons = new Set<string>();
  readonly keepTimeMs: number;
  readonly #nowMs: () => number;
  #processCount = 1;
  #generation: number | undefined;
  /** The grant of a rebuild; a Redis process that was started again does not know it. */
  #rebuild: { readonly owner: string; readonly process: number; untilMs: number } | undefined;

  /** @param nowMs the clock of Redis */
  constructor(nowMs: () => number, keepTimeMs: number) {
    this.#nowMs = nowMs;
    this.keepTimeMs = keepTimeMs;
  }

  get areValid(): boolean {
    return this.#generation === this.#processCount;
  }

  store(recorderId: string, transport?: Transport): CounterStore {
    return createMemoryCounterStore(this, recorderId, transport);
  }

  /** Redis loses all data. */
  lose(): void {
    const { alive, recorders, tidying, senders } = this;
    for (const part of [...this.#counted, alive, recorders, tidying, senders]) part.clear();
    this.#generation = undefined;
    this.#rebuild = undefined;
  }

  /** Redis is started again, with the same data. */
  restart(): void {
    this.#processCount += 1;
  }

  record(recorder: string, entries: readonly CounterEntry[]): ClaimAnswer[] {
    this.#requireValid();
    this.#hear(recorder);
    const script = new CountingScript(this);
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

  settle(recorder: string, objectId: string, smsIds: readonly string[], reasons?: ReasonsById): string[] {
    this.#requireValid();
    this.#hear(recorder);
    const script = new CountingScript(this);
    const strangers = [...new Set(smsIds)].filter((id) => !script.settle(id, objectId, reasons?.get(id)));
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
    this.#hear(recorder);
    const script = new CountingScript(this);
    for (const outcome of outcomes) script.restore(outcome, objectId);
    script.writeCounts();
  }

  rebuildSums(rebuildTry: string, sums: readonly OutcomeSums[]): void {
    this.prolongRebuild(rebuildTry);
    const script = new CountingScript(this);
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

  signalLife(recorder: string, isRecording: boolean): void {
    this.alive.set(recorder, this.#second);
    if (isRecording) this.#hear(recorder);
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
    if (!this.alive.has(sender)) this.alive.set(sender, this.#second - 2 * GONE_AFTER_SECONDS);
  }

  /** True where there is more to do. */
  tidy(recorder: string): boolean {
    this.#requireValid();
    const wereAllAway = this.#livingIn(this.tidying, GONE_AFTER_SECONDS - 1) === 0;
    if (wereAllAway || !this.total.has('since')) this.total.set('since', this.#second);
    this.tidying.set(recorder, this.#second);
    for (const [gone, seen] of this.tidying)
      if (seen <= this.#second - FORGET_SENDER_SECONDS) this.tidying.delete(gone);
    if (this.#livingIn(this.alive) > this.#livingIn(this.tidying)) return false;
    if (this.senders.size > this.alive.size)
      for (const sender of this.senders.keys()) if (!this.alive.has(sender)) this.senders.delete(sender);
    const keepSeconds = Math.ceil(this.keepTimeMs / 1_000);
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

  #livingIn(senders: ReadonlyMap<string, number>, withinSeconds = GONE_AFTER_SECONDS): number {
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
    return seen !== undefined && seen > this.#second - GONE_AFTER_SECONDS;
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
    if (finishedAtMs === undefined) return this.keepTimeMs;
    const leastMs = Math.min(this.keepTimeMs, RESTORED_LIFE_SECONDS * 1_000);
    return Math.min(
      this.keepTimeMs,
      Math.max(leastMs, finishedAtMs + this.keepTimeMs - Math.floor(this.#nowMs())),
    );
  }

  /** The second at which a run changed that is to be remembered for so long. */
  changeBefore(lifeMs: number): number {
    return Math.ceil((Math.floor(this.#nowMs()) + lifeMs - this.keepTimeMs) / 1_000);
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
    const { sms, runs, changedRuns, summedRuns, total, conflicts, namedReasons } = this;
    return [sms, runs, changedRuns, summedRuns, total, conflicts, namedReasons];
  }

  get #second(): number {
    return Math.floor(this.#nowMs() / 1_000);
  }

  #hear(recorder: string): void {
    this.alive.set(recorder, this.#second);
    const newest = Math.max(...this.recorders.values());
    if (newest <= this.#second - GONE_AFTER_SECONDS) {
      const heardAt = this.#second - GONE_AFTER_SECONDS + GRACE_SECONDS;
      for (const [each, seen] of this.recorders)
        if (seen > newest - GONE_AFTER_SECONDS) this.recorders.set(each, heardAt);
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
}
