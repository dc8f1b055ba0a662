/**
 * A run: publishes every SMS, with a bounded number of them unconfirmed, and counts what RabbitMQ has confirmed.
 * The loop waits only where it must (window full, next SMS not due), not for each SMS: a promise awaited per SMS
 * would cost more than making the SMS.
 */
import { encodeFresh } from '../shared/domain/envelope.ts';
import type { OutgoingMessage } from '../shared/domain/message.ts';
import { shardOf } from '../shared/domain/shards.ts';
import type { Sms } from '../shared/domain/sms.ts';
import { workRoutingKey } from '../shared/domain/topology.ts';
import { PublishUnknownError } from '../shared/errors.ts';
import type { BulkPublisher, Clock, Logger } from '../shared/ports.ts';
import { Acceptance } from './acceptance.ts';
import { RunAnnouncer, type RunAnnouncerParts } from './announce-run.ts';
import { Pacer } from './pacer.ts';
import { PublishAgain } from './publish-again.ts';

/** An SMS with its number in the run, from 1. */
export interface NumberedSms {
  readonly smsNumber: number;
  readonly sms: Sms;
}

export interface RunOptions {
  readonly run: string;
  readonly queueName: string;
  /** The SMS up to this number were accepted before and do not come again; 0 for a new run. */
  readonly resumeAfter: number;
  /** How many of those there are; known when the first SMS comes. */
  readonly acceptedBefore: () => number;
  /** What the run is made from, for announcements; undefined while it is not known yet. */
  readonly inputIdentity: () => string | undefined;
  /** Work queues that SMS are spread over. */
  readonly shardCount: number;
  /** SMS that may be unconfirmed at once. */
  readonly windowSize: number;
  /** So many accepted SMS bring an announcement, if the second since the last one is not over before. */
  readonly announceEvery: number;
  /** While nothing more is accepted, the same is announced again after this long. */
  readonly announceAgainMs: number;
  /** Undefined: as fast as RabbitMQ confirms. */
  readonly smsPerSecond: number | undefined;
  readonly announcerId: string;
}

export interface RunSurroundings {
  readonly publisher: BulkPublisher;
  readonly clock: Clock;
  readonly log: Logger;
  readonly random: () => number;
  readonly shutdown: AbortSignal;
}

// What an interrupted run still waits for: confirms, then the confirm of its last announcement.
const CONFIRM_GRACE_MS = 5_000;
const ANNOUNCE_GRACE_MS = 2_000;
// Longer timers than this would overflow or outlive a clock that is set.
const MAX_PAUSE_MS = 60_000;

export class RunProducer {
  readonly #options: RunOptions;
  readonly #around: RunSurroundings;
  readonly #acceptance: Acceptance;
  readonly #publishAgain: PublishAgain;
  readonly #announcer: RunAnnouncer;
  readonly #pacer: Pacer | undefined;
  readonly #startedAtMs: number;
  #endedAtMs: number | undefined;
  #unencodableCount = 0;
  #republishedCount = 0;
  #isGraceOver = false;
  #cancelGrace: (() => void)[] = [];
  #wake = () => {};
  #endAnnouncing = () => {};

  constructor(options: RunOptions, around: RunSurroundings) {
    this.#options = options;
    this.#around = around;
    this.#acceptance = new Acceptance(options.resumeAfter);
    this.#publishAgain = new PublishAgain(around);
    this.#announcer = new RunAnnouncer({
      publisher: around.publisher,
      publishAgain: this.#publishAgain,
      clock: around.clock,
      announcerId: options.announcerId,
      announceEvery: options.announceEvery,
      announceAgainMs: options.announceAgainMs,
      describe: () => this.#describe(),
    });
    this.#startedAtMs = around.clock.nowMs();
    this.#pacer =
      options.smsPerSecond === undefined ? undefined : new Pacer(options.smsPerSecond, this.#startedAtMs);
  }

  /** SMS of the run that are accepted, before and now. */
  get acceptedCount(): number {
    return this.#options.acceptedBefore() + this.#acceptance.acceptedCount;
  }

  /** SMS accepted now. */
  get acceptedNowCount(): number {
    return this.#acceptance.acceptedCount;
  }

  /** SMS that were given to RabbitMQ and do not follow without a gap on those accepted: resuming gives them again. */
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

  /** Publishes everything, or until the shutdown. @throws what reading the batches throws, after the books are told */
  async produce(batches: AsyncIterable<readonly NumberedSms[]>): Promise<void> {
    const { shutdown } = this.#around;
    shutdown.addEventListener('abort', this.#beginGrace, { once: true });
    this.#announcer.start();
    try {
      await this.#publishAll(batches);
    } finally {
      await this.#awaitConfirms();
      this.#endedAtMs = this.#around.clock.nowMs();
      this.#announcer.stop();
      await this.#announceEnd();
      shutdown.removeEventListener('abort', this.#beginGrace);
      for (const cancel of this.#cancelGrace) cancel();
    }
  }

  async #publishAll(batches: AsyncIterable<readonly NumberedSms[]>): Promise<void> {
    for await (const batch of batches) {
      for (const { smsNumber, sms } of batch) {
        if (this.#pauseMs() > 0) await this.#awaitTurn();
        if (this.#around.shutdown.aborted) return;
        this.#publish(smsNumber, sms);
      }
    }
  }

  #publish(smsNumber: number, sms: Sms): void {
    const acceptedAtMs = this.#around.clock.nowMs();
    const routingKey = workRoutingKey(shardOf(sms.id, this.#options.shardCount));
    const message = encodeFresh(sms, acceptedAtMs, routingKey);
    this.#pacer?.took();
    this.#acceptance.gave(smsNumber);
    this.#around.publisher.publishThen(message, (error) => {
      if (error === undefined) this.#confirmed(smsNumber);
      else void this.#publishUntilConfirmed(smsNumber, message, error);
    });
  }

  async #publishUntilConfirmed(smsNumber: number, message: OutgoingMessage, error: unknown): Promise<void> {
    if (error instanceof PublishUnknownError) this.#republishedCount += 1;
    try {
      if (await this.#publishAgain.goOn(message, error)) return this.#confirmed(smsNumber);
    } catch (fatal) {
      this.#unencodableCount += 1;
      this.#around.log.error({ smsId: message.messageId, err: fatal }, 'an SMS cannot be published');
    }
    this.#acceptance.gaveUp(smsNumber);
    this.#wake();
  }

  #confirmed(smsNumber: number): void {
    this.#acceptance.confirmed(smsNumber);
    this.#announcer.noteAccepted(this.acceptedCount);
    this.#wake();
  }

  /** How long the next SMS has to wait; infinite where only a confirm makes room. */
  #pauseMs(): number {
    if (this.#around.shutdown.aborted) return 0;
    if (this.#acceptance.unconfirmedCount >= this.#options.windowSize) return Infinity;
    return this.#pacer?.pauseMs(this.#around.clock.nowMs()) ?? 0;
  }

  async #awaitTurn(): Promise<void> {
    for (let pauseMs = this.#pauseMs(); pauseMs > 0; pauseMs = this.#pauseMs()) {
      const cancel =
        pauseMs === Infinity
          ? undefined
          : this.#around.clock.after(Math.min(pauseMs, MAX_PAUSE_MS), () => this.#wake());
      await this.#change();
      cancel?.();
    }
  }

  async #awaitConfirms(): Promise<void> {
    while (this.#acceptance.unconfirmedCount > 0 && !this.#isGraceOver) await this.#change();
  }

  /** Resolves at the next confirm, timer or shutdown. */
  #change(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  readonly #beginGrace = (): void => {
    const { clock } = this.#around;
    const endGrace = () => {
      this.#isGraceOver = true;
      this.#publishAgain.stop();
      this.#wake();
    };
    this.#cancelGrace = [
      clock.after(CONFIRM_GRACE_MS, endGrace),
      clock.after(CONFIRM_GRACE_MS + ANNOUNCE_GRACE_MS, () => this.#endAnnouncing()),
    ];
    this.#wake();
  };

  async #announceEnd(): Promise<void> {
    const deadline = new Promise<void>((resolve) => {
      this.#endAnnouncing = resolve;
    });
    await Promise.race([this.#announcer.announceEnd(), deadline]);
  }

  #describe(): ReturnType<RunAnnouncerParts['describe']> {
    const { run, queueName, inputIdentity } = this.#options;
    const input = inputIdentity();
    if (this.acceptedNowCount === 0 || input === undefined) return undefined;
    const { acceptedUpTo } = this.#acceptance;
    return { run, queue: queueName, accepted: this.acceptedCount, acceptedUpTo, input };
  }
}
