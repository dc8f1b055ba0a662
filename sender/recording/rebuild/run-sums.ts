import { type BucketCounts, bucketOf } from '../../../shared/domain/histogram.ts';
import { boundedMs, hasFailed, isUnclear } from '../../../shared/domain/outcome/attempt.ts';
import { countedReasonOf, nameOfReason } from '../../../shared/domain/outcome/failure-reason.ts';
import type { OutcomeRecord } from '../../../shared/domain/outcome/outcome.ts';
import type { OutcomeSums } from '../../../shared/ports/counter-store.ts';

/** The sums of one run while they grow. */
type GrowingSums = {
  -readonly [Field in keyof OutcomeSums]: OutcomeSums[Field] extends BucketCounts
    ? Map<number, number>
    : OutcomeSums[Field] extends ReadonlyMap<string, number>
      ? Map<string, number>
      : OutcomeSums[Field];
};

// The sums of a run are some hundred numbers, so 200 runs take a few megabytes.
const MAX_RUNS_HELD = 200;

/** Sums outcomes up by run, as the counters would count each of them. */
export class RunSums {
  readonly #sumsOfRun = new Map<string, GrowingSums>();
  /** Reasons that are summed by name: history may tell more than fit into memory. */
  readonly #reasons = new Set<string>();
  #addedCount = 0;

  get addedCount(): number {
    return this.#addedCount;
  }

  /** True where the sums must be taken before more are added: history may have more runs than fit into memory. */
  get isFull(): boolean {
    return this.#sumsOfRun.size >= MAX_RUNS_HELD;
  }

  add(record: OutcomeRecord): void {
    const { run, status, attempts } = record;
    const reason = countedReasonOf(record);
    const sums = this.#sumsOfRun.get(run) ?? noSums(run);
    this.#sumsOfRun.set(run, sums);
    this.#addedCount += 1;
    sums.met += 1;
    sums[status] += 1;
    if (status === 'known') return;
    if (reason !== undefined) countIn(sums.failedByReason, nameOfReason(reason, this.#reasons));
    for (const made of attempts) {
      const { attempt, tookMs, lateMs } = made;
      const processingMs = boundedMs(tookMs);
      sums.attempts += 1;
      sums.attemptsFailed += hasFailed(made) ? 1 : 0;
      sums.attemptsUnknown += isUnclear(made) ? 1 : 0;
      sums.processingMsSum += processingMs;
      countIn(sums.attemptsByNumber, attempt);
      countIn(sums.processingBuckets, bucketOf(processingMs));
      if (lateMs === undefined) continue;
      const late = boundedMs(lateMs);
      countIn(sums.latenessBuckets, bucketOf(late));
      sums.maxLatenessMs = Math.max(late, sums.maxLatenessMs ?? late);
    }
  }

  /** The sums of what was added since they were last taken. */
  take(): OutcomeSums[] {
    const sums = [...this.#sumsOfRun.values()];
    this.#sumsOfRun.clear();
    return sums;
  }
}

function countIn<Key>(counts: Map<Key, number>, key: Key): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

function noSums(run: string): GrowingSums {
  return {
    run,
    met: 0,
    sent: 0,
    failed: 0,
    parked: 0,
    known: 0,
    attempts: 0,
    attemptsFailed: 0,
    attemptsUnknown: 0,
    failedByReason: new Map(),
    processingMsSum: 0,
    maxLatenessMs: undefined,
    attemptsByNumber: new Map(),
    processingBuckets: new Map(),
    latenessBuckets: new Map(),
  };
}
