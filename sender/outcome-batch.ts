import type { OutcomeStatus } from '../shared/domain/outcome.ts';
import { outcomeObjectId } from '../shared/domain/outcome-object.ts';
import type { OutcomeSummary } from '../shared/ports.ts';

/** An outcome on its way into an object: what the counters need, and the line that S3 will hold. */
export interface ClaimedOutcome {
  readonly summary: OutcomeSummary;
  readonly line: string;
}

/**
 * The outcomes that will be one object. Its id is fixed when it is opened, because claims name it; its bytes are
 * fixed when it is closed, because a repeated put must be the same bytes.
 */
export class OutcomeBatch<Waiter> {
  readonly status: OutcomeStatus;
  readonly objectId: string;
  /** Claims asked for, granted or not. */
  claimCount = 0;
  /** When the first outcome came in, milliseconds since the epoch. */
  openedAtMs: number | undefined;
  readonly waiters = new Set<Waiter>();
  readonly #outcomes = new Map<string, ClaimedOutcome>();

  constructor(status: OutcomeStatus, recorderId: string, sequence: number, nowMs: number) {
    this.status = status;
    this.objectId = outcomeObjectId(nowMs, recorderId, sequence);
  }

  get size(): number {
    return this.#outcomes.size;
  }

  get summaries(): OutcomeSummary[] {
    return [...this.#outcomes.values()].map(({ summary }) => summary);
  }

  /** Adds an outcome unless its SMS is here already (its journal message came twice), and who waits for it. */
  add(outcome: ClaimedOutcome, waiter: Waiter, nowMs: number): void {
    this.openedAtMs ??= nowMs;
    this.waiters.add(waiter);
    const { smsId } = outcome.summary;
    if (!this.#outcomes.has(smsId)) this.#outcomes.set(smsId, outcome);
  }

  encode(): Buffer {
    return Buffer.from([...this.#outcomes.values()].map(({ line }) => `${line}\n`).join(''));
  }
}
