/**
 * A run: publishes every SMS, with a bounded number of them unconfirmed, and counts what RabbitMQ has confirmed. The loop
 * waits only while too many are unconfirmed or the next SMS is not due. Awaiting a promise for each SMS would cost more
 * than making the SMS.
 */
import { encodeFresh } from '../../shared/domain/sms/envelope.ts';
import type { OutgoingMessage } from '../../shared/domain/sms/message.ts';
import { type SendingRequest, wishesOf } from '../../shared/domain/sms/sending-request.ts';
import type { Sms } from '../../shared/domain/sms/sms.ts';
import { freshRoutingKeyOf } from '../../shared/domain/topology/shards.ts';
import { PublishUnknownError } from '../../shared/errors.ts';
import { Republisher, type Republishing } from '../../shared/pipeline/publish-until-confirmed.ts';
import type { Traces } from '../../shared/pipeline/traces.ts';
import { Change, Grace, untilAborted } from '../../shared/pipeline/waiting.ts';
import type { BulkPublisher } from '../../shared/ports/publisher.ts';
import { Acceptance } from './acceptance.ts';
import { type AnnouncerOptions, RunAnnouncer, type Standing } from './announce-run.ts';
import { Pacer } from './pacer.ts';

/** An SMS with its number in the run, from 1. */
export interface NumberedSms {
  readonly smsNumber: number;
  readonly sms: Sms;
  /** What is asked for this SMS; undefined: what is asked for the run. */
  readonly sending?: SendingRequest | undefined;
}

export interface RunOptions extends AnnouncerOptions {
  readonly run: string;
  readonly queueName: string;
  /** The SMS up to this number were accepted before and do not come again; 0 for a new run. */
  readonly resumeAfter: number;
  readonly input: {
    /** What the run is made from, for announcements; undefined while it is not known yet. */
    readonly identity: string | undefined;
    /** How many SMS were accepted before; known when the first SMS comes. */
    readonly acceptedBefore: number;
  };
  /** When and how urgently the SMS are to be sent; undefined: at once, among all others. */
  readonly sending: SendingRequest | undefined;
  /** Work queues that SMS are spread over. */
  readonly shardCount: number;
  /** SMS that may be unconfirmed at once. */
  readonly maxUnconfirmed: number;
  /** Undefined: as fast as RabbitMQ confirms. */
  readonly smsPerSecond: number | undefined;
}

export interface RunSurroundings extends Republishing {
  readonly publisher: BulkPublisher;
  readonly shutdown: AbortSignal;
  /** Undefined: there are no spans. */
  readonly traces?: Traces | undefined;
}

// How long an interrupted run still waits for confirms, and then for the confirm of its last announcement.
const CONFIRM_GRACE_MS = 5_000;
const ANNOUNCE_GRACE_MS = 2_000;
// A longer timer could overflow, and would not notice a clock that is set.
const MAX_PAUSE_MS = 60_000;

export class RunProducer {
  readonly #options: RunOptions;
  readonly #around: RunSurroundings;
  readonly #acceptance: Acceptance;
  readonly #republisher: Republisher;
  readonly #announcer: RunAnnouncer;
  readonly #pacer: Pacer | undefined;
  readonly #startedAtMs: number;
  readonly #change: Change;
  readonly #confirmGrace: Grace;
  readonly #announceGrace: Grace;
  #endedAtMs: number | undefined;
  #unencodableCount = 0;
  #republishedCount = 0;

  constructor(options: RunOptions, around: RunSurroundings) {
    const { publisher, clock, shutdown } = around;
    this.#options = options;
    this.#around = around;
    this.#acceptance = new Acceptance(options.resumeAfter);
    this.#change = new Change(clock);
    this.#confirmGrace = new Grace(clock, shutdown, CONFIRM_GRACE_MS, () => this.#change.tell());
    this.#announceGrace = new Grace(clock, shutdown, CONFIRM_GRACE_MS + ANNOUNCE_GRACE_MS);
    this.#republisher = new Republisher(around, this.#confirmGrace.over);
    const standingNow = () => this.#standing();
    this.#announcer = new RunAnnouncer(options, {
      ...{ publisher, clock, republisher: this.#republisher, standingNow },
    });
    this.#startedAtMs = clock.nowMs();
    this.#pacer =
      options.smsPerSecond === undefined ? undefined : new Pacer(options.smsPerSecond, this.#startedAtMs);
  }

  /** SMS of the run that are accepted, before and now. */
  get acceptedCount(): number {
    return this.#options.input.acceptedBefore + this.#acceptance.acceptedCount;
  }

  /** SMS accepted now. */
  get acceptedNowCount(): number {
    return this.#acceptance.acceptedCount;
  }

  /** SMS that were given to RabbitMQ and lie above the first one that is not accepted: a resumed run gives them again. */
  get openCount(): number {
    return this.#acceptance.lastNumber - this.#acceptance.acceptedUpTo;
  }

  /** SMS that no message can carry; they are not accepted. */
  get unencodableCount(): number {
    return this.#unencodableCount;
  }

  /** SMS that were published again because nobody knew whether RabbitMQ had taken them. */
  get republishedCount(): number {
    return this.#republishedCount;
  }

  /** From the start to the last confirm. */
  get elapsedMs(): number {
    return (this.#endedAtMs ?? this.#around.clock.nowMs()) - this.#startedAtMs;
  }

  /** Publishes everything, or until the shutdown. @throws what reading the batches throws, after the last announcement */
  async produce(batches: AsyncIterable<readonly NumberedSms[]>): Promise<void> {
    this.#announcer.start();
    try {
      await this.#publishAll(batches);
    } finally {
      await this.#awaitConfirms();
      this.#endedAtMs = this.#around.clock.nowMs();
      this.#announcer.stop();
      await untilAborted(this.#announcer.announceEnd(), this.#announceGrace.over);
      this.#confirmGrace.end();
      this.#announceGrace.end();
    }
  }

  async #publishAll(batches: AsyncIterable<readonly NumberedSms[]>): Promise<void> {
    for await (const batch of batches) {
      for (const numbered of batch) {
        if (this.#pauseMs() > 0) await this.#awaitTurn();
        if (this.#around.shutdown.aborted) return;
        this.#publish(numbered);
      }
    }
  }

  #publish({ smsNumber, sms, sending = this.#options.sending }: NumberedSms): void {
    const acceptedAtMs = this.#around.clock.nowMs();
    const wishes = sending && wishesOf(sending, acceptedAtMs);
    const routingKey = freshRoutingKeyOf(sms.id, sending?.priority, this.#options.shardCount);
    const span = this.#around.traces?.send(sms.id, undefined);
    const message = encodeFresh(sms, acceptedAtMs, routingKey, wishes, span?.traceparent);
    this.#pacer?.took();
    this.#acceptance.gave(smsNumber);
    this.#around.publisher.publishThen(message, (error) => {
      span?.end(error);
      if (error === undefined) this.#confirmed(smsNumber);
      else void this.#publishUntilConfirmed(smsNumber, message, error);
    });
  }

  async #publishUntilConfirmed(smsNumber: number, message: OutgoingMessage, error: unknown): Promise<void> {
    if (error instanceof PublishUnknownError) this.#republishedCount += 1;
    try {
      if (await this.#republisher.publish(message, Promise.reject(error))) return this.#confirmed(smsNumber);
    } catch (fatal) {
      this.#unencodableCount += 1;
      this.#around.log.error({ smsId: message.messageId, err: fatal }, 'an SMS cannot be published');
    }
    this.#acceptance.abandoned(smsNumber);
    this.#change.tell();
  }

  #confirmed(smsNumber: number): void {
    this.#acceptance.confirmed(smsNumber);
    this.#announcer.noteAccepted(this.acceptedCount);
    this.#change.tell();
  }

  /** How long the next SMS has to wait; infinite where only a confirm makes room. */
  #pauseMs(): number {
    if (this.#around.shutdown.aborted) return 0;
    if (this.#acceptance.unconfirmedCount >= this.#options.maxUnconfirmed) return Infinity;
    return this.#pacer?.pauseMs(this.#around.clock.nowMs()) ?? 0;
  }

  async #awaitTurn(): Promise<void> {
    for (let pauseMs = this.#pauseMs(); pauseMs > 0; pauseMs = this.#pauseMs())
      await this.#change.wait(pauseMs === Infinity ? pauseMs : Math.min(pauseMs, MAX_PAUSE_MS));
  }

  async #awaitConfirms(): Promise<void> {
    const { over } = this.#confirmGrace;
    while (this.#acceptance.unconfirmedCount > 0 && !over.aborted) await this.#change.wait(Infinity);
  }

  #standing(): Standing | undefined {
    const { run, queueName, input: source } = this.#options;
    const input = source.identity;
    if (this.acceptedNowCount === 0 || input === undefined) return undefined;
    const { acceptedUpTo } = this.#acceptance;
    return { run, queue: queueName, accepted: this.acceptedCount, acceptedUpTo, input };
  }
}
