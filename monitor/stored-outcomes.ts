import { hasFailed } from '../shared/domain/attempt.ts';
import type { OutcomeRecord } from '../shared/domain/outcome.ts';
import { type MissingIds, SeenIds } from './seen-ids.ts';

/** What S3 holds of a run, each SMS counted once, by its first record. */
export interface StoredCounts {
  sent: number;
  failed: number;
  parked: number;
  attempts: number;
  attemptsFailed: number;
  /** Records beyond the first one of an id. */
  duplicateRecords: number;
}

const NOTHING: StoredCounts = {
  sent: 0,
  failed: 0,
  parked: 0,
  attempts: 0,
  attemptsFailed: 0,
  duplicateRecords: 0,
};

/** Counts outcome records, which must come in the order of their object ids: the first one of an id wins. */
export class StoredOutcomes {
  readonly #seen = new SeenIds();
  readonly #countsOfRun = new Map<string, StoredCounts>();

  get runs(): ReadonlyMap<string, Readonly<StoredCounts>> {
    return this.#countsOfRun;
  }

  add(record: OutcomeRecord): void {
    const counts = this.#countsOfRun.get(record.run) ?? { ...NOTHING };
    this.#countsOfRun.set(record.run, counts);
    if (!this.#seen.add(record.smsId)) {
      counts.duplicateRecords += 1;
      return;
    }
    counts[record.status] += 1;
    counts.attempts += record.attempts.length;
    counts.attemptsFailed += record.attempts.filter(hasFailed).length;
  }

  countsOf(run: string): Readonly<StoredCounts> {
    return this.#countsOfRun.get(run) ?? NOTHING;
  }

  findMissing(run: string, lastNumber: number, maxNamed: number): MissingIds {
    return this.#seen.findMissing(run, lastNumber, maxNamed);
  }
}
