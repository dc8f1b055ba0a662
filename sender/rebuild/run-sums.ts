import { boundedMs, hasFailed } from '../../shared/domain/attempt.ts';
import { bucketOf } from '../../shared/domain/histogram.ts';
import type { OutcomeRecord } from '../../shared/domain/outcome.ts';
import type { OutcomeSums } from '../../shared/ports.ts';

/** The sums of one run while they grow. */
interface GrowingSums {
  readonly run: string;
  met: number;
  sent: number;
  failed: number;
  parked: number;
  known: number;
  attempts: number;
  attemptsFailed: number;
  processingMsSum: number;
  maxLatenessMs: number | undefined;
  readonly attemptsByNumber: Map<number, number>;
  readonly processingBuckets: Map<number, number>;
  readonly latenessBuckets: Map<number, number>;
}

// A run has some hundred numbers, so these are a few megabytes.
const MAX_RUNS_HELD = 200;

/** Sums outcomes up by run, as the counters would count each of them. */
export class RunSums {
  readonly #sumsOfRun = new Map<string, GrowingSums>();
  #addedCount = 0;

  get addedCount(): number {
    return this.#addedCount;
  }

  /** True where it is time to take them: history may have more runs than fit into memory. */
  get isFull(): boolean {
    return this.#sumsOfRun.size >= MAX_RUNS_HELD;
  }

  add({ run, status, attempts }: OutcomeRecord): void {
    const sums = this.#sumsOfRun.get(run) ?? noSums(run);
    this.#sumsOfRun.set(run, sums);
    this.#addedCount += 1;
    sums.met += 1;
    sums[status] += 1;
    if (status === 'known') return;
    for (const record of attempts) {
      const { attempt, tookMs, lateMs } = record;
      const processingMs = boundedMs(tookMs);
      sums.attempts += 1;
      sums.attemptsFailed += hasFailed(record) ? 1 : 0;
      sums.processingMsSum += processingMs;
      countIn(sums.attemptsByNumber, attempt);
      countIn(sums.processingBuckets, bucketOf(processingMs));
      if (lateMs === undefined) continue;
      const late = boundedMs(lateMs);
      countIn(sums.latenessBuckets, bucketOf(late));
      sums.maxLatenessMs = Math.max(late, sums.maxLatenessMs ?? late);
    }
  }

  /** What was added since the last time. */
  take(): OutcomeSums[] {
    const sums = [...this.#sumsOfRun.values()];
    this.#sumsOfRun.clear();
    return sums;
  }
}

function countIn(counts: Map<number, number>, number: number): void {
  counts.set(number, (counts.get(number) ?? 0) + 1);
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
    processingMsSum: 0,
    maxLatenessMs: undefined,
    attemptsByNumber: new Map(),
    processingBuckets: new Map(),
    latenessBuckets: new Map(),
  };
}
