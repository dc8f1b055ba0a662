/**
 * A redrive: batch by batch, each after the outcomes of the one before.
 *
 * A batch goes through the queue of the redrive:
 *
 *   1. its SMS are staged there, then a ledger that names them all
 *   2. one after the other is released: RabbitMQ moves it to the senders
 *   3. the hand is closed, and the outcomes are waited for in Redis
 *
 * Killed in 1, the redrive leaves SMS without a ledger: none of them was sent, and they are dropped. Killed in 2, it leaves
 * those that were not sent. Killed in 3, it leaves the ledger, and the outcomes of its SMS are waited for. All SMS of earlier
 * batches have their outcomes, so Redis knows them. What was sent and what was not is certain in each case. A producer that
 * publishes to the senders at once could not tell that of its last SMS: those that RabbitMQ holds and no sender has met yet.
 */
import { formatCount } from '../../../shared/domain/format-count.ts';
import type { OutcomeRecord } from '../../../shared/domain/outcome/outcome.ts';
import type { OutgoingMessage } from '../../../shared/domain/sms/message.ts';
import { CountersLostError, RedialError, ServerUnavailableError } from '../../../shared/errors.ts';
import { pause } from '../../../shared/pipeline/waiting.ts';
import type { Clock } from '../../../shared/ports/clock.ts';
import { Pacer } from '../../produce/pacer.ts';
import { batchSizeOf, encodeLedger, isStopped, type Ledger, readLedger } from './batches.ts';
import { redrivenIdOf, redrivenOf } from './redriven-sms.ts';

interface Staged {
  readonly messageId: string;
  readonly deliveryTag: number;
  readonly body: Buffer | undefined;
}

/** What stands in the queue of the redrive. */
interface Hand<Message extends Staged> {
  readonly messages: readonly Message[];
  stage(messages: readonly OutgoingMessage[]): Promise<void>;
  release(message: Message): void;
  drop(message: Message): void;
  close(): Promise<void>;
}

export interface RedriveParts<Message extends Staged = Staged> {
  readonly take: (isExpected: boolean) => Promise<Hand<Message>>;
  /** @throws ServerUnavailableError, CountersLostError */
  readonly statesOf: (smsIds: readonly string[]) => Promise<(string | undefined)[]>;
  /** What is to be sent again, each SMS once. */
  readonly records: AsyncIterable<OutcomeRecord>;
  readonly clock: Clock;
  readonly shutdown: AbortSignal;
  readonly say: (sentence: string) => void;
  /** Called with the number of SMS of the run that were sent, whenever it grows. */
  readonly onAccepted: (acceptedCount: number) => void;
}

export interface RedriveOrder {
  readonly run: string;
  readonly smsPerSecond: number | undefined;
  readonly keepTimeMs: number;
  /** True where the queue was there before: an earlier call of the same redrive has left something in it. */
  readonly isResumed: boolean;
  /** SMS of the run that an earlier call has sent, where the queue does not tell it. */
  readonly acceptedBefore: number;
}

/** How it ended: all is sent, too many failed again, or the process was told to end. */
export type RedriveEnd = 'done' | 'stopped' | 'interrupted';

const ASK_EVERY_MS = 250;
const ASK_AGAIN_MS = 1_000;
const WAITING_IS_TOLD_AFTER_MS = 10_000;
/** As many records are compared with Redis at once. */
const READ_AT_ONCE = 500;
const LEFT_TOLD = 10;

export class RedriveRun<Message extends Staged> {
  readonly #order: RedriveOrder;
  readonly #parts: RedriveParts<Message>;
  readonly #records: AsyncIterator<OutcomeRecord>;
  #acceptedCount: number;
  #isQueueUsed: boolean;
  /** Records that were selected. */
  selectedCount = 0;
  /** Those of them that were sent by an earlier call. */
  beforeCount = 0;
  /** SMS sent by this call. */
  sentCount = 0;
  /** SMS of the batches of this call that failed or were parked. */
  failedAgainCount = 0;
  batchCount = 0;
  /** SMS that cannot be sent again. */
  leftCount = 0;

  constructor(order: RedriveOrder, parts: RedriveParts<Message>) {
    this.#order = order;
    this.#parts = parts;
    this.#records = parts.records[Symbol.asyncIterator]();
    this.#acceptedCount = order.acceptedBefore;
    this.#isQueueUsed = order.isResumed;
  }

  /** SMS of the run that were sent, before and now. */
  get acceptedCount(): number {
    return this.#acceptedCount;
  }

  /** @throws ServerUnavailableError: the same command goes on where this one ended */
  async perform(): Promise<RedriveEnd> {
    const begun = await this.#finishLastBatch();
    if (begun !== 'done') return begun;
    const messages = this.#messages();
    for (let index = 0; ; index += 1) {
      const batch = await takeUpTo(messages, batchSizeOf(index, this.#order.smsPerSecond));
      if (this.#parts.shutdown.aborted) return 'interrupted';
      if (batch.length === 0) return 'done';
      const end = await this.#sendBatch(batch);
      if (end !== 'done') return end;
    }
  }

  /** Sends what an earlier call has staged and not sent, and waits for the outcomes of its last batch. */
  async #finishLastBatch(): Promise<RedriveEnd> {
    if (!this.#order.isResumed) return 'done';
    const { clock, say, take } = this.#parts;
    const hand = await take(true);
    const ledger = newestLedgerIn(hand.messages);
    const ids = new Set(ledger?.ids);
    const staged: Message[] = [];
    for (const message of hand.messages) {
      if (message.body !== undefined) continue;
      if (ids.has(message.messageId)) staged.push(message);
      else hand.drop(message);
    }
    if (ledger === undefined) {
      await hand.close();
      return 'done';
    }
    if (clock.nowMs() - ledger.atMs > this.#order.keepTimeMs) {
      await hand.close();
      throw new ForgottenRedriveError(this.#order.run);
    }
    this.#acceptedCount = ledger.acceptedBefore + ledger.ids.length - staged.length;
    say(
      `run ${this.#order.run} goes on: ${formatCount(this.#acceptedCount)} SMS of it were sent, ` +
        `${formatCount(staged.length)} more of its last batch follow`,
    );
    return this.#release(hand, staged, ledger.ids);
  }

  async #sendBatch(batch: readonly OutgoingMessage[]): Promise<RedriveEnd> {
    const ids = batch.map(({ messageId }) => messageId);
    const hand = await this.#parts.take(this.#isQueueUsed);
    const older = [...hand.messages];
    this.#isQueueUsed = true;
    await hand.stage(batch);
    const staged = hand.messages.slice(older.length);
    // Confirmed one after the other: a ledger never names an SMS that RabbitMQ does not hold.
    const ledger: Ledger = {
      ...{ ids, acceptedBefore: this.#acceptedCount, atMs: this.#parts.clock.nowMs() },
    };
    await hand.stage([encodeLedger(ledger, this.#order.run)]);
    for (const message of older) hand.drop(message);
    return this.#release(hand, staged, ids);
  }

  /** @param ids all SMS of the batch, also those that were released before */
  async #release(
    hand: Hand<Message>,
    staged: readonly Message[],
    ids: readonly string[],
  ): Promise<RedriveEnd> {
    const { clock, shutdown, onAccepted } = this.#parts;
    const { smsPerSecond } = this.#order;
    const pacer = smsPerSecond === undefined ? undefined : new Pacer(smsPerSecond, clock.nowMs());
    for (const message of staged) {
      for (;;) {
        const waitMs = pacer?.pauseMs(clock.nowMs()) ?? 0;
        if (waitMs === 0 || shutdown.aborted) break;
        await pause(clock, waitMs, shutdown);
      }
      if (shutdown.aborted) break;
      hand.release(message);
      pacer?.took();
      this.#acceptedCount += 1;
      this.sentCount += 1;
      onAccepted(this.#acceptedCount);
    }
    await hand.close();
    if (shutdown.aborted) return 'interrupted';
    return this.#awaitOutcomes(ids);
  }

  async #awaitOutcomes(ids: readonly string[]): Promise<RedriveEnd> {
    const { clock, shutdown, say } = this.#parts;
    const tellAtMs = clock.nowMs() + WAITING_IS_TOLD_AFTER_MS;
    let open = ids;
    let failedCount = 0;
    for (let isTold = false; ; ) {
      const states = await this.#statesOf(open);
      if (states === undefined) return 'interrupted';
      failedCount += states.filter((state) => state === 'failed' || state === 'parked').length;
      open = open.filter((_, index) => states[index] === undefined || states[index] === 'in progress');
      if (open.length === 0) break;
      if (!isTold && clock.nowMs() >= tellAtMs) {
        isTold = true;
        say(`waiting for the outcomes of ${formatCount(open.length)} of ${formatCount(ids.length)} SMS`);
      }
      await pause(clock, ASK_EVERY_MS, shutdown);
      if (shutdown.aborted) return 'interrupted';
    }
    this.batchCount += 1;
    this.failedAgainCount += failedCount;
    if (!isStopped(failedCount, ids.length)) return 'done';
    say(
      `stopped: ${formatCount(failedCount)} of the ${formatCount(ids.length)} SMS of a batch failed again, more than half. ` +
        'Nothing further is sent. Mend the cause, then give the command again',
    );
    return 'stopped';
  }

  /** The messages of those SMS that nobody has sent again before. */
  async *#messages(): AsyncGenerator<OutgoingMessage> {
    const { run } = this.#order;
    for (;;) {
      const records = await takeUpTo(this.#records, READ_AT_ONCE);
      if (records.length === 0) return;
      this.selectedCount += records.length;
      const states = await this.#statesOf(records.map(({ smsId }) => redrivenIdOf(smsId, run)));
      if (states === undefined) return;
      for (const [index, record] of records.entries()) {
        if (states[index] !== undefined) {
          this.beforeCount += 1;
          continue;
        }
        const redriven = redrivenOf(record, run);
        if ('message' in redriven) yield redriven.message;
        else this.#leave(record.smsId, redriven.problem);
      }
    }
  }

  #leave(smsId: string, problem: string): void {
    this.leftCount += 1;
    if (this.leftCount <= LEFT_TOLD) this.#parts.say(`${smsId} is left: ${problem}`);
    if (this.leftCount === LEFT_TOLD + 1)
      this.#parts.say('more are left: they are only counted from here on');
  }

  /** Asks until Redis answers; undefined where the process ends before. */
  async #statesOf(ids: readonly string[]): Promise<(string | undefined)[] | undefined> {
    const { clock, shutdown, say, statesOf } = this.#parts;
    for (let isTold = false; !shutdown.aborted; isTold = true) {
      try {
        return await statesOf(ids);
      } catch (error) {
        const isAway = error instanceof ServerUnavailableError;
        if (!isAway && !(error instanceof CountersLostError)) throw error;
        if (!isTold) say(`waiting: ${isAway ? error.message : LOST}`);
        await pause(clock, ASK_AGAIN_MS, shutdown);
      }
    }
    return undefined;
  }
}

const LOST = 'Redis holds no valid counters; a sender makes them from S3';

/** What was sent of the redrive cannot be told any more. */
export class ForgottenRedriveError extends RedialError {
  constructor(run: string) {
    super(
      'REDRIVE_FORGOTTEN',
      `run ${run} was interrupted longer than KEEP_TIME ago, so Redis has forgotten what was sent of it. Nothing was sent now. ` +
        'Take another run name, and --reason, --since or --until for what is still to come',
    );
  }
}

function newestLedgerIn(messages: readonly Staged[]): Ledger | undefined {
  return messages
    .flatMap(({ body }) => (body === undefined ? [] : (readLedger(body) ?? [])))
    .sort((left, right) => right.acceptedBefore - left.acceptedBefore)[0];
}

async function takeUpTo<Value>(source: AsyncIterator<Value>, count: number): Promise<Value[]> {
  const taken: Value[] = [];
  while (taken.length < count) {
    const next = await source.next();
    if (next.done === true) break;
    taken.push(next.value);
  }
  return taken;
}
