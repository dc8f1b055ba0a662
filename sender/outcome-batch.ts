import type { OutcomeStatus } from '../shared/domain/outcome.ts';
import { outcomeObjectId } from '../shared/domain/outcome-object.ts';
import type { OutcomeSummary } from '../shared/ports.ts';

const LINE_FEED = Buffer.from('\n');

/** An outcome on its way into an object: what the counters need, and the line that S3 will hold. */
export interface ClaimedOutcome {
  readonly summary: OutcomeSummary;
  readonly line: Buffer;
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
  /** SMS of which another outcome was claimed for this object later: a Redis that was emptied knows that one. */
  readonly retoldIds = new Set<string>();
  // Lines only: thousands of them wait here, and what else is known of an outcome can be read from its line.
  readonly #lines = new Map<string, Buffer>();

  constructor(status: OutcomeStatus, recorderId: string, sequence: number, nowMs: number) {
    this.status = status;
    this.objectId = outcomeObjectId(nowMs, recorderId, sequence);
  }

  get size(): number {
    return this.#lines.size;
  }

  get smsIds(): string[] {
    return [...this.#lines.keys()];
  }

  lineOf(smsId: string): Buffer | undefined {
    return this.#lines.get(smsId);
  }

  /** Adds an outcome unless its SMS is here already (its journal message came twice), and who waits for it. */
  add(outcome: ClaimedOutcome, waiter: Waiter, nowMs: number): void {
    this.openedAtMs ??= nowMs;
    this.waiters.add(waiter);
    const { smsId } = outcome.summary;
    const known = this.#lines.get(smsId);
    if (known === undefined) this.#lines.set(smsId, outcome.line);
    else if (!known.equals(outcome.line)) this.retoldIds.add(smsId);
  }

  encode(): Buffer {
    return Buffer.concat([...this.#lines.values()].flatMap((line) => [line, LINE_FEED]));
  }
}
