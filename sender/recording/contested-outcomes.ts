import { identityOf, type OutcomeRecord } from '../../shared/domain/outcome/outcome.ts';
import {
  outcomeObjectKey,
  parseOutcomeObject,
  recorderOf,
} from '../../shared/domain/outcome/outcome-object.ts';
import type { ClaimAnswer } from '../../shared/ports/counter-store.ts';
import type { Claims } from './claims.ts';
import type { Claim } from './outcome-batch.ts';
import type { PatientStores } from './patient-stores.ts';
import type { RecorderOptions } from './recorder-options.ts';
import { summarise } from './summarise-outcome.ts';
import type { WorkInHand } from './work-in-hand.ts';

type Elsewhere = ClaimAnswer & { readonly kind: 'elsewhere' };

/** An outcome that another object has claimed. */
interface ContestedOutcome {
  readonly claim: Claim;
  readonly answer: Elsewhere;
}

const LOOK_AGAIN_MS = 1_000;

/**
 * Outcomes that another object has claimed. While that object may still be written, they are claimed again every second.
 * When its recorder is dead, the object is read: what the object holds is counted, and the rest is claimed instead of it.
 */
export class ContestedOutcomes {
  readonly #options: RecorderOptions;
  readonly #work: WorkInHand;
  readonly #stores: PatientStores;
  readonly #claims: Claims;
  #waiting: ContestedOutcome[] = [];

  constructor(options: RecorderOptions, work: WorkInHand, stores: PatientStores, claims: Claims) {
    this.#options = options;
    this.#work = work;
    this.#stores = stores;
    this.#claims = claims;
  }

  /** The message of the claim waits for it. */
  add({ summary, line, held }: Claim, answer: Elsewhere): void {
    held.hold();
    if (this.#waiting.push({ claim: { summary, line, held }, answer }) > 1) return;
    this.#options.clock.after(LOOK_AGAIN_MS, () => this.#lookAgain());
  }

  #lookAgain(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    // What came on a channel that died is not ours and comes again: keeping it would add up over many deaths.
    const live = waiting.filter(({ claim }) => claim.held.delivery.isLive());
    const awaited = live.filter(({ answer }) => this.#mayBeWritten(answer));
    this.#claims.claimLater(awaited.map(({ claim }) => claim));
    const leftBehind = live.filter(({ answer }) => !this.#mayBeWritten(answer));
    for (const objectId of new Set(leftBehind.map(({ answer }) => answer.objectId))) {
      const contested = leftBehind.filter(({ answer }) => answer.objectId === objectId);
      const messages = contested.map(({ claim }) => claim.held);
      this.#work.runBesideFor(messages, () => this.#takeOver(objectId, contested));
    }
    for (const { claim } of waiting) claim.held.release();
  }

  #mayBeWritten({ objectId, isOwnerAlive }: Elsewhere): boolean {
    const isOurs = recorderOf(objectId) === this.#options.recorderId;
    return isOurs ? this.#claims.isUnfinished(objectId) : isOwnerAlive;
  }

  /** Counts what the object holds and claims the rest. What is counted is claimed too: it may be of another run. */
  async #takeOver(objectId: string, contested: readonly ContestedOutcome[]): Promise<void> {
    const stored = await this.#stores.readOnce(objectId, () => this.#read(objectId, contested));
    if (stored === undefined) {
      for (const { claim, answer } of contested) this.add(claim, answer);
      return;
    }
    const found = contested
      .flatMap(({ claim }) => stored.get(claim.summary.smsId) ?? [])
      .map((record) => summarise(record, this.#options.digest));
    if (found.length > 0) await this.#stores.untilCounted((counters) => counters.restore(objectId, found));
    this.#claims.claimLater(
      contested.map(({ claim }) =>
        stored.has(claim.summary.smsId) ? claim : { ...claim, insteadOfObjectId: objectId },
      ),
    );
  }

  /** The records of an object by SMS. */
  async #read(objectId: string, contested: readonly ContestedOutcome[]): Promise<Map<string, OutcomeRecord>> {
    const { prefixes, objects, queue } = this.#options;
    const keys = new Set(contested.map(({ answer }) => outcomeObjectKey(prefixes[answer.status], objectId)));
    const stored = new Map<string, OutcomeRecord>();
    for (const key of keys) {
      const { records } = parseOutcomeObject((await objects.get(key)) ?? Buffer.alloc(0));
      for (const record of records) if (record.queue === queue) stored.set(identityOf(record), record);
    }
    return stored;
  }
}
