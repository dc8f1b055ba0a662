/**
 * Which outcomes get a key of their own in Redis, and which are only summed.
 *
 * Redis needs to know an SMS only while its id is not a new one: KEEP_TIME since it finished. A day more is given, for
 * clocks that differ and for journal messages that have waited. What is older is summed here, by run, and its raw
 * duplicates are found among the last outcomes read (SeenOutcomes), so that a year of history costs one number a field
 * and run. The age of an outcome is that of its object where that is younger: an outcome that waited long for S3 was
 * stored a moment ago, and its journal message may not be acknowledged yet.
 *
 * Records of one SMS may lie on both sides of that limit. So those near it are looked up too: the one in the
 * smallest object counts, as everywhere. Of what is summed, repeated sends and id conflicts are not counted.
 */
import { identityOf, type OutcomeRecord } from '../../shared/domain/outcome.ts';
import { openedAtOf } from '../../shared/domain/outcome-object.ts';
import type { Digest } from '../../shared/domain/parking.ts';
import { type Fetched, type OutcomeKey, readRecords } from '../../shared/pipeline/archive/outcome-objects.ts';
import type { StoredOutcome } from '../../shared/ports.ts';
import { summarise } from '../summarise-outcome.ts';
import type { RunSums } from './run-sums.ts';
import { SeenOutcomes } from './seen-outcomes.ts';

export interface SortingOptions {
  /** QUEUE_NAME. */
  readonly queue: string;
  readonly digest: Digest;
  readonly keepTimeMs: number;
  /** When the rebuild began; the clock of the recorder. */
  readonly nowMs: number;
}

const DAY_MS = 24 * 3_600_000;

export class OutcomeSorter {
  readonly #options: SortingOptions;
  readonly #sums: RunSums;
  readonly #seen: SeenOutcomes;
  /** What is older is summed. */
  readonly #limitMs: number;

  constructor(options: SortingOptions, sums: RunSums) {
    this.#options = options;
    this.#sums = sums;
    this.#seen = new SeenOutcomes(options.digest);
    this.#limitMs = options.nowMs - options.keepTimeMs - DAY_MS;
  }

  /** Sums what is old; returns the outcomes that get a key. Objects must come in the order of their ids. */
  sort(object: Fetched<OutcomeKey>): StoredOutcome[] {
    const openedAtMs = openedAtOf(object.objectId) ?? 0;
    const young: StoredOutcome[] = [];
    // The audit names what cannot be read.
    readRecords(object, this.#options.queue, (record) => {
      const finishedAtMs = finishOf(record) ?? openedAtMs;
      if (this.#hasKey(record, finishedAtMs, Math.max(finishedAtMs, openedAtMs)))
        young.push({ ...summarise(record, this.#options.digest), finishedAtMs });
    });
    return young;
  }

  #hasKey(record: OutcomeRecord, finishedAtMs: number, youngerMs: number): boolean {
    const { keepTimeMs } = this.#options;
    // No record of an SMS that is summed can be as young as that.
    if (finishedAtMs >= this.#limitMs + keepTimeMs) return true;
    const fate = youngerMs < this.#limitMs ? 'summed' : 'kept';
    const first = this.#seen.meet({ smsId: identityOf(record), finishedAtMs, fate, keepTimeMs });
    if (fate === 'kept') return first !== 'summed';
    if (first === 'new') this.#sums.add(record);
    return false;
  }
}

function finishOf({ finishedAt }: OutcomeRecord): number | undefined {
  const finishedAtMs = Date.parse(finishedAt);
  return Number.isNaN(finishedAtMs) ? undefined : Math.max(0, finishedAtMs);
}
