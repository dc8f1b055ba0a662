/**
 * Which outcomes get a key of their own in Redis, and which are only summed.
 *
 * Redis must know an SMS until its id counts as a new one, KEEP_TIME after the SMS finished. A day more is given, for
 * clocks that differ and for journal messages that have waited. Older outcomes are summed by run, so that a year of
 * history costs one number for each field and run. Their raw duplicates are found among the last outcomes read
 * (SeenOutcomes). An outcome counts as young as its object, where the object is younger: an outcome that waited long
 * for S3 was stored a moment ago, and its journal message may not be acknowledged yet.
 *
 * Records of one SMS may lie on both sides of the limit. So outcomes near the limit are looked up too: the record in
 * the smallest object counts, as everywhere. Repeated sends and id conflicts of summed outcomes are not counted.
 */
import { identityOf, type OutcomeRecord } from '../../../shared/domain/outcome/outcome.ts';
import { openedAtOf } from '../../../shared/domain/outcome/outcome-object.ts';
import type { Digest } from '../../../shared/domain/sms/parking.ts';
import type { ArchivedObject } from '../../../shared/pipeline/archive/archive.ts';
import type { StoredOutcome } from '../../../shared/ports/counter-store.ts';
import { summarise } from '../summarise-outcome.ts';
import type { RunSums } from './run-sums.ts';
import { SeenOutcomes } from './seen-outcomes.ts';

const DAY_MS = 24 * 3_600_000;

export class OutcomeSorter {
  readonly #sums: RunSums;
  readonly #digest: Digest;
  readonly #seen: SeenOutcomes;
  /** An outcome that is older than this moment is summed. */
  readonly #limitMs: number;
  /** No record of an SMS that is summed can be as young as this moment. */
  readonly #noneSummedFromMs: number;

  /**
   * @param sums takes what is old
   * @param nowMs when the rebuild began, by the clock of the recorder
   */
  constructor(sums: RunSums, digest: Digest, keepTimeMs: number, nowMs: number) {
    this.#sums = sums;
    this.#digest = digest;
    this.#seen = new SeenOutcomes(digest, keepTimeMs);
    this.#limitMs = nowMs - keepTimeMs - DAY_MS;
    this.#noneSummedFromMs = nowMs - DAY_MS;
  }

  /** Sums what is old; returns the outcomes that get a key. Objects must come in the order of their ids. */
  sort({ objectId, records }: ArchivedObject): StoredOutcome[] {
    const openedAtMs = openedAtOf(objectId) ?? 0;
    const young: StoredOutcome[] = [];
    for (const record of records) {
      const parsedMs = Date.parse(record.finishedAt);
      const finishedAtMs = Number.isNaN(parsedMs) ? openedAtMs : Math.max(0, parsedMs);
      if (this.#hasKey(record, finishedAtMs, Math.max(finishedAtMs, openedAtMs)))
        young.push({ ...summarise(record, this.#digest), finishedAtMs });
    }
    return young;
  }

  #hasKey(record: OutcomeRecord, finishedAtMs: number, youngerMs: number): boolean {
    if (finishedAtMs >= this.#noneSummedFromMs) return true;
    const place = youngerMs < this.#limitMs ? 'summed' : 'kept';
    const first = this.#seen.meet(identityOf(record), finishedAtMs, place);
    if (place === 'kept') return first !== 'summed';
    if (first === 'new') this.#sums.add(record);
    return false;
  }
}
