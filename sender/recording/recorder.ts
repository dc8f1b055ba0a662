/**
 * The recorder takes journal messages, counts them in Redis, writes outcomes to S3, and only then acknowledges.
 *
 *   journal messages -> counted, their outcomes claimed (one Lua call) -> in a batch -> batch stored as an object
 *                   -> outcomes counted (settled) -> acknowledged, once all its outcomes are stored
 *
 *   intake.ts               reads a message and hands on what its lines ask for
 *   claims.ts               counts, claims outcomes, gathers them in batches, stores the batches
 *   contested-outcomes.ts   waits for outcomes that another object has claimed, or takes them over
 *   patient-stores.ts       repeats calls, and stands back while a store is away
 *   work-in-hand.ts         knows what is being done, and acknowledges or parks each message at its end
 *
 * Why it is exact: every call to the counters may be repeated. The id of an object is fixed before outcomes are claimed for
 * it, and its bytes are fixed before its first put (outcome-batch.ts). Nothing is put while a claim is unanswered
 * (work-in-hand.ts). A recorder that dies leaves its messages unacknowledged. The recorder that gets them next finds the
 * claims, reads the object they name, and takes over what is not in it. A claim is kept while its put may still arrive, and
 * others wait for it.
 *
 * Why nothing stops it: each message is handled in its own try, and a message whose handling throws is parked. A step never
 * waits for S3. Lines of a newer version are kept for a recorder that knows them. A put that S3 refuses for good, while it
 * does other things, parks the messages it belongs to.
 */
import { CountersLostError } from '../../shared/errors.ts';
import { abortOf } from '../../shared/pipeline/waiting.ts';
import { Claims } from './claims.ts';
import { Intake } from './intake.ts';
import { PatientStores } from './patient-stores.ts';
import type { RecorderOptions } from './recorder-options.ts';
import { WorkInHand } from './work-in-hand.ts';

const SIGN_OF_LIFE_MS = 2_000;

export class Recorder {
  readonly #options: RecorderOptions;
  readonly #work: WorkInHand;
  readonly #stores: PatientStores;
  readonly #claims: Claims;
  #cancelSignOfLife: () => void = () => {};

  constructor(options: RecorderOptions) {
    this.#options = options;
    this.#work = new WorkInHand(options, () => this.#claims.closeDueBatches());
    this.#stores = new PatientStores(options, this.#work, (delivery) => intake.receive(delivery));
    this.#claims = new Claims(options, this.#work, this.#stores);
    const intake = new Intake(options, this.#work, this.#stores, this.#claims);
  }

  /** How long each store is away, in milliseconds. */
  get storesAwayMs(): PatientStores['awayMs'] {
    return this.#stores.awayMs;
  }

  start(): void {
    this.#signalLife();
    this.#stores.startTaking();
  }

  /**
   * Takes no more, stores what is claimed, acknowledges.
   * @param deadline gives up on what does not fit; the same that makes `pause` reject
   * @returns how many journal messages were left; they stay unacknowledged
   */
  async drain(deadline: AbortSignal): Promise<number> {
    this.#work.startDraining();
    const isOver = abortOf(deadline);
    await Promise.race([isOver, this.#options.source.cancel()]);
    while (this.#work.isBusy && !deadline.aborted) {
      // The end of any step closes all batches now.
      this.#work.runStep();
      await Promise.race([isOver, this.#settleOnce()]);
    }
    this.#cancelSignOfLife();
    this.#claims.cancelCloseTimer();
    // A recorder that drained holds no claims, so it signs off. One that ran out of time keeps its sign of life: its
    // last put may still arrive.
    if (!this.#work.isBusy) await Promise.race([isOver, this.#options.counters.leave().catch(() => {})]);
    return this.#work.liveMessageCount;
  }

  async #settleOnce(): Promise<void> {
    await this.#work.settled();
    // What still waits, waits for another recorder: look again at the usual pace.
    if (!this.#work.hasWorkBeside && this.#work.isBusy) await this.#options.pause(3);
  }

  #signalLife(): void {
    const { counters, clock } = this.#options;
    const signalled = this.#stores.signalLife();
    // A sender that leaves must not appear again.
    const tidied = signalled.then(() => (this.#work.isDraining ? undefined : counters.tidy()));
    tidied.catch((error: unknown) => {
      if (!(error instanceof CountersLostError) || !this.#work.areStepsDone || this.#work.isDraining) return;
      // Rebuild also where there is nothing to record: else the books stay empty until the next SMS ends.
      this.#work.runStep(() => this.#stores.untilCounted(() => this.#stores.signalLife()));
    });
    this.#cancelSignOfLife = clock.after(SIGN_OF_LIFE_MS, () => this.#signalLife());
  }
}
