import type { OutcomeStatus } from '../../shared/domain/outcome/outcome.ts';
import { outcomeObjectId } from '../../shared/domain/outcome/outcome-object.ts';
import type { OutcomeSummary } from '../../shared/ports/counter-store.ts';
import type { HeldMessage } from './work-in-hand.ts';

const LINE_FEED = Buffer.from('\n');

/** An outcome that is to be claimed on behalf of a message. */
export interface Claim {
  /** What the counters need to know of it. */
  readonly summary: OutcomeSummary;
  /** What S3 will hold, without its line feed. */
  readonly line: Buffer;
  readonly held: HeldMessage;
  /** The object of a dead recorder that does not hold the outcome. */
  readonly insteadOfObjectId?: string;
}

/**
 * The outcomes that will be one object. Its id is fixed when it is opened, because claims name it. Its bytes are fixed
 * when it is closed, because a repeated put must be the same bytes.
 */
export class OutcomeBatch {
  readonly status: OutcomeStatus;
  readonly objectId: string;
  /** Claims asked for, granted or not. */
  claimCount = 0;
  /** When the first outcome came in, milliseconds since the epoch. */
  openedAtMs: number | undefined;
  /** Journal messages that wait until the object is stored. */
  readonly waiters = new Set<HeldMessage>();
  /** SMS of which another outcome was claimed for this object later. A Redis that was emptied knows that later one. */
  readonly retoldIds = new Set<string>();
  /** Why SMS failed, by id, where they did. */
  readonly reasons = new Map<string, string>();
  // Only lines: thousands of outcomes wait here, and what else is known of an outcome can be read from its line.
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

  get lines(): Buffer[] {
    return [...this.#lines.values()];
  }

  /** Without its line feed; empty where the batch has no such SMS. */
  lineOf(smsId: string): string {
    return this.#lines.get(smsId)?.toString() ?? '';
  }

  /** Adds an outcome, unless its SMS is here already because its journal message came twice. The message waits for it. */
  add({ summary: { smsId, reason }, line, held }: Claim, nowMs: number): void {
    this.openedAtMs ??= nowMs;
    if (!this.waiters.has(held)) held.hold();
    this.waiters.add(held);
    const known = this.#lines.get(smsId);
    if (known !== undefined) {
      if (!known.equals(line)) this.retoldIds.add(smsId);
      return;
    }
    this.#lines.set(smsId, line);
    if (reason !== undefined) this.reasons.set(smsId, reason);
  }

  encode(): Buffer {
    return Buffer.concat([...this.#lines.values()].flatMap((line) => [line, LINE_FEED]));
  }
}
