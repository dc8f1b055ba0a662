import { bucketOf } from '../domain/histogram.ts';
import { tokensOf } from '../domain/outcome/attempt-token.ts';
import { nameOfReason } from '../domain/outcome/failure-reason.ts';
import { recorderOf } from '../domain/outcome/outcome-object.ts';
import type { ClaimAnswer, OutcomeSummary, OutcomeSums, StoredOutcome } from '../ports/counter-store.ts';
import type { MemoryCounters } from './memory-counters.ts';
import { addIn, raiseIn, type SmsState } from './redis-values.ts';

const MAX_CONFLICTS = 1_000;
const MAX_TOLD_CHARACTERS = 1_000;
const SUMMED_FIELDS = [
  ...(['met', 'sent', 'failed', 'parked', 'known'] as const),
  ...(['attempts', 'attemptsFailed', 'attemptsUnknown'] as const),
];

/** One run of a counting script: its increments are written at its end, as one. */
export class CountingScript {
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
    if (sms.phase === 's') {
      if (sms.run !== run) return { kind: 'known' };
      const isStoredSo =
        sms.status === status && shorten(sms.digest) === shorten(contentDigest) && sms.attempts === attempts;
      return { kind: isStoredSo ? 'recorded' : 'recorded otherwise' };
    }
    if (sms.object === objectId && sms.run === run) return { kind: 'claimed' };
    const isOwnerAlive = this.#counters.isAlive(recorderOf(sms.object) ?? '');
    return { kind: 'elsewhere', objectId: sms.object, status: sms.status || status, isOwnerAlive };
  }

  /** False where the claim is not the object's. */
  settle(id: string, objectId: string, reason: string | undefined): boolean {
    const sms = this.#counters.load(id);
    if (sms === undefined || sms.object !== objectId || sms.phase === 'p') return false;
    if (sms.phase === 's') return true;
    sms.phase = 's';
    this.#add(sms.run, sms.status, 1);
    this.#countReason(sms, reason);
    this.#counters.save(id, sms, this.#counters.keepTimeMs);
    return true;
  }

  restore(outcome: OutcomeSummary & Partial<StoredOutcome>, objectId: string): void {
    const { smsId, run, status, contentDigest, finishedAtMs, reason } = outcome;
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
    if (sms.phase === 's') {
      this.#add(sms.run, sms.status, -1);
      this.#takeBackReason(sms);
    }
    this.#reconcile(sms, run, attempts);
    this.#chooseContent(smsId, sms, contentDigest);
    Object.assign(sms, { phase: 's', object: objectId, status });
    this.#add(run, status, 1);
    this.#countReason(sms, reason);
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
    for (const field of SUMMED_FIELDS) this.#add(run, field, sums[field]);
    for (const [reason, count] of sums.failedByReason) this.#add(run, this.#fieldOfReason(reason), count);
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
    return this.#counters.load(id) ?? this.#meet(run);
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
    if (result !== 's') this.#add(run, 'attemptsFailed', sign);
    if (result === 'u') this.#add(run, 'attemptsUnknown', sign);
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

  #fieldOfReason(reason: string): string {
    return `reason:${nameOfReason(reason, this.#counters.namedReasons)}`;
  }

  #countReason(sms: SmsState, reason: string | undefined): void {
    if (reason === undefined) return;
    const field = this.#fieldOfReason(reason);
    sms.told += `;=${field.slice('reason:'.length)};`;
    this.#add(sms.run, field, 1);
  }

  #takeBackReason(sms: SmsState): void {
    const name = /;=([^;]*);/.exec(sms.told)?.[1];
    if (name !== undefined) this.#takeBack(sms, `=${name}`, `reason:${name}`);
  }

  #noteConflict(id: string, sms: SmsState, digest: string): void {
    const short = shorten(digest);
    if (shorten(sms.digest) === short || !this.#tellOnce(sms, `!${short}`)) return;
    this.#add(sms.run, 'idConflicts', 1);
    const { conflicts } = this.#counters;
    if (conflicts.size < MAX_CONFLICTS) conflicts.add(id);
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
