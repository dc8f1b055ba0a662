import { hasFailed } from '../../shared/domain/outcome/attempt.ts';
import { identityOf, type OutcomeRecord, type OutcomeStatus } from '../../shared/domain/outcome/outcome.ts';
import { type MissingIds, SeenIds } from './seen-ids.ts';

/** What S3 holds of a run, each SMS counted once, by its first record. */
export interface StoredCounts extends Record<OutcomeStatus, number> {
  attempts: number;
  attemptsFailed: number;
  /** Records beyond the first one of an SMS. */
  duplicateRecords: number;
}

const NONE = { sent: 0, failed: 0, parked: 0, known: 0, attempts: 0, attemptsFailed: 0, duplicateRecords: 0 };

// A record of an SMS that was seen is a duplicate where both finished within KEEP_TIME. Ids are kept by windows of an
// eighth of KEEP_TIME, so records more than KEEP_TIME apart are never taken for one SMS, and records less than seven
// eighths of it apart always are. Raw duplicates stem from a crash and lie minutes apart.
const WINDOWS_PER_KEEP_TIME = 8;

/**
 * Counts outcome records, which must come in the order of their object ids: the first one of an SMS wins. An id that
 * finished again after KEEP_TIME is another SMS, as it is for the counters.
 */
export class StoredOutcomes {
  readonly #windowMs: number;
  readonly #seen = new SeenIds();
  /** Ids by the time at which their SMS finished, in windows; only the newest ones. */
  readonly #windows = new Map<number, SeenIds>();
  readonly #countsOfRun = new Map<string, StoredCounts>();
  /** By watched id, from its first record on. */
  readonly #runOf = new Map<string, string | undefined>();

  /** @param watchedIds a few ids of which it is asked later in which run they have their outcome */
  constructor(keepTimeMs: number, watchedIds: readonly string[] = []) {
    this.#windowMs = Math.max(1, keepTimeMs / WINDOWS_PER_KEEP_TIME);
    for (const id of watchedIds) this.#runOf.set(id, undefined);
  }

  get runs(): ReadonlyMap<string, Readonly<StoredCounts>> {
    return this.#countsOfRun;
  }

  add(record: OutcomeRecord): void {
    const counts = this.#countsOfRun.get(record.run) ?? { ...NONE };
    this.#countsOfRun.set(record.run, counts);
    if (!this.#isFirst(record)) {
      counts.duplicateRecords += 1;
      return;
    }
    counts[record.status] += 1;
    if (record.status === 'known') return;
    if (this.#runOf.has(record.smsId)) this.#runOf.set(record.smsId, record.run);
    counts.attempts += record.attempts.length;
    counts.attemptsFailed += record.attempts.filter(hasFailed).length;
  }

  /** The run in which a watched id has its outcome, the newest one; undefined where it has none. */
  runOf(smsId: string): string | undefined {
    return this.#runOf.get(smsId);
  }

  countsOf(run: string): Readonly<StoredCounts> {
    return this.#countsOfRun.get(run) ?? NONE;
  }

  findMissing(run: string, lastNumber: number, maxNamed: number): MissingIds {
    return this.#seen.findMissing(run, lastNumber, maxNamed);
  }

  #isFirst(record: OutcomeRecord): boolean {
    const id = identityOf(record);
    const window = Math.floor((Date.parse(record.finishedAt) || 0) / this.#windowMs);
    const isNewId = this.#seen.add(id);
    // An SMS that came again is open in no run.
    if (record.status === 'known') this.#seen.add(record.smsId);
    const isFirst = isNewId || !this.#isInWindows(id, window);
    if (isFirst) this.#windowOf(window).add(id);
    return isFirst;
  }

  #isInWindows(id: string, window: number): boolean {
    for (let near = window - WINDOWS_PER_KEEP_TIME + 1; near < window + WINDOWS_PER_KEEP_TIME; near += 1)
      if (this.#windows.get(near)?.has(id)) return true;
    return false;
  }

  #windowOf(window: number): SeenIds {
    const known = this.#windows.get(window);
    if (known !== undefined) return known;
    const made = new SeenIds();
    this.#windows.set(window, made);
    for (const old of this.#windows.keys())
      if (old < window - 2 * WINDOWS_PER_KEEP_TIME) this.#windows.delete(old);
    return made;
  }
}
