/**
 * Takes SMS of clients in. An SMS is accepted once RabbitMQ has confirmed its message and did not return it; nothing is
 * kept for a RabbitMQ that is away. All that one process accepts within a day (UTC) is one run, announced as a producer
 * announces its run, so the books know of an SMS before any sender has met it.
 */

import { apiRunOf } from '../../shared/domain/sms/api-run.ts';
import { encodeFresh } from '../../shared/domain/sms/envelope.ts';
import { type SendingRequest, wishesOf } from '../../shared/domain/sms/sending-request.ts';
import { type SmsContent, smsIdOf, smsNumberOf } from '../../shared/domain/sms/sms.ts';
import { freshRoutingKeyOf } from '../../shared/domain/topology/shards.ts';
import { isUnpublishable } from '../../shared/errors.ts';
import { Republisher } from '../../shared/pipeline/publish-until-confirmed.ts';
import type { Traces } from '../../shared/pipeline/traces.ts';
import { untilAborted } from '../../shared/pipeline/waiting.ts';
import type { Clock } from '../../shared/ports/clock.ts';
import type { Logger } from '../../shared/ports/logger.ts';
import type { PublisherWithState, PublishingTrouble } from '../../shared/ports/publisher.ts';
import { Acceptance } from '../produce/acceptance.ts';
import { RunAnnouncer } from '../produce/announce-run.ts';

/** What the announcements of the API name as their input: ids of its SMS may be chosen by clients. */
export const API_INPUT = 'api';

export interface IntakeOptions {
  readonly queueName: string;
  readonly shardCount: number;
  /** How long a client waits for the confirm at most. */
  readonly confirmWithinMs: number;
  readonly announceEvery: number;
  readonly announceAgainMs: number;
  /** Tells this process from others: six letters or digits. */
  readonly processMark: string;
}

export interface IntakeParts {
  readonly publisher: PublisherWithState;
  readonly clock: Clock;
  readonly log: Logger;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** Undefined: there are no spans. */
  readonly traces?: Traces | undefined;
}

/** An SMS as a client asks for it. */
export interface AskedSms {
  readonly content: SmsContent;
  /** Chosen by the client. */
  readonly id?: string | undefined;
  readonly sending: SendingRequest;
  /** The trace that the request belongs to. */
  readonly traceparent?: string | undefined;
}

/** An SMS with its id and the moment at which it is given to RabbitMQ. */
export interface NamedSms extends AskedSms {
  readonly id: string;
  readonly dayRun: DayRun;
  readonly acceptedAtMs: number;
  readonly smsNumber: number;
}

/**
 * - away, alarm, closing: nothing was given to RabbitMQ
 * - unconfirmed: RabbitMQ may have taken it all the same; the connection ended before the confirm
 * - unanswered: RabbitMQ may still confirm it; its client does not wait any longer
 * - unpublishable: no message can carry it
 */
export type NotAcceptedReason =
  | PublishingTrouble
  | 'closing'
  | 'unconfirmed'
  | 'unanswered'
  | 'unpublishable';

/** The SMS was not accepted. */
export class NotAcceptedError extends Error {
  readonly reason: NotAcceptedReason;

  constructor(reason: NotAcceptedReason, options?: ErrorOptions) {
    super(`not accepted: ${reason}`, options);
    this.reason = reason;
  }
}

/** What is accepted within one day. */
export interface DayRun {
  /** Days since the epoch. */
  readonly day: number;
  readonly run: string;
  readonly acceptance: Acceptance;
  readonly announcer: RunAnnouncer;
}

const DAY_MS = 86_400_000;
const END_GRACE_MS = 2_000;
const STAYS_OPEN_MS = 60_000;

export class SmsIntake {
  readonly #options: IntakeOptions;
  readonly #parts: IntakeParts;
  readonly #republisher: Republisher;
  readonly #ended = new AbortController();
  readonly #runs: DayRun[] = [];
  readonly #onClosing = new Set<() => void>();
  #isClosing = false;

  constructor(options: IntakeOptions, parts: IntakeParts) {
    this.#options = options;
    this.#parts = parts;
    this.#republisher = new Republisher(parts, this.#ended.signal);
  }

  /** Why no SMS would be accepted now; undefined where one would be. */
  get trouble(): NotAcceptedReason | undefined {
    return this.#isClosing ? 'closing' : this.#parts.publisher.trouble;
  }

  /** SMS accepted since the start. */
  get acceptedCount(): number {
    return this.#runs.reduce((sum, { acceptance }) => sum + acceptance.acceptedCount, 0);
  }

  /** True for an id that this process has given to an SMS whose client has its answer. One that was refused is told as accepted here, too. */
  hasAccepted(id: string): boolean {
    return this.#runs.some(({ run, acceptance }) => acceptance.isSettled(smsNumberOf(run, id) ?? 0));
  }

  /** Gives the SMS its id, its run and its number. Each that is named must be accepted next. */
  name(asked: AskedSms): NamedSms {
    const acceptedAtMs = this.#parts.clock.nowMs();
    const dayRun = this.#runOf(acceptedAtMs);
    const { run, acceptance } = dayRun;
    const smsNumber = acceptance.lastNumber + 1;
    acceptance.gave(smsNumber);
    const { content, sending, traceparent, id = smsIdOf(run, smsNumber) } = asked;
    return { content, sending, traceparent, id, dayRun, smsNumber, acceptedAtMs };
  }

  /** Gives back the number of an SMS that is not to be accepted after all. */
  drop({ dayRun, smsNumber }: NamedSms): void {
    dayRun.acceptance.refused(smsNumber);
  }

  /**
   * Resolves once RabbitMQ has confirmed.
   * @param onLate is called when an SMS that was `unanswered` is confirmed, or will not be
   * @throws NotAcceptedError
   */
  accept(named: NamedSms, onLate: (isConfirmed: boolean) => void): Promise<void> {
    return new Promise((resolve, reject) => {
      this.acceptThen(named, (error) => (error === undefined ? resolve() : reject(error)), onLate);
    });
  }

  /** As `accept`, without the cost of a promise for each SMS. @param onSettled is called once */
  acceptThen(
    named: NamedSms,
    onSettled: (error: NotAcceptedError | undefined) => void,
    onLate: (isConfirmed: boolean) => void = () => {},
  ): void {
    const { trouble } = this;
    if (trouble !== undefined) {
      this.drop(named);
      onSettled(new NotAcceptedError(trouble));
      return;
    }
    let isUnanswered = false;
    const endWaiting = this.#parts.clock.after(this.#options.confirmWithinMs, () => {
      isUnanswered = true;
      onSettled(new NotAcceptedError('unanswered'));
    });
    this.#publish(named, (error) => {
      endWaiting();
      if (isUnanswered) return onLate(error === undefined);
      if (error === undefined) return onSettled(undefined);
      onSettled(
        new NotAcceptedError(isUnpublishable(error) ? 'unpublishable' : 'unconfirmed', { cause: error }),
      );
    });
  }

  /** Accepts nothing more. What was given to RabbitMQ may still be confirmed. */
  stopAccepting(): void {
    this.#isClosing = true;
    for (const tell of this.#onClosing) tell();
  }

  /** Calls when nothing more is accepted. @returns what takes that back */
  onClosing(tell: () => void): () => void {
    this.#onClosing.add(tell);
    return () => this.#onClosing.delete(tell);
  }

  /** Announces what was accepted. */
  async close(): Promise<void> {
    this.stopAccepting();
    for (const { announcer } of this.#runs) announcer.stop();
    const grace = AbortSignal.timeout(END_GRACE_MS);
    await untilAborted(Promise.all(this.#runs.map(({ announcer }) => announcer.announceEnd())), grace);
    this.#ended.abort();
  }

  #publish(
    { id, dayRun, smsNumber, content, sending, acceptedAtMs, traceparent }: NamedSms,
    onSettled: (error: Error | undefined) => void,
  ): void {
    const routingKey = freshRoutingKeyOf(id, sending.priority, this.#options.shardCount);
    const span = this.#parts.traces?.send(id, traceparent);
    const message = encodeFresh(
      { ...content, id, run: dayRun.run },
      acceptedAtMs,
      routingKey,
      wishesOf(sending, acceptedAtMs),
      span?.traceparent ?? traceparent,
    );
    this.#parts.publisher.publishThen(message, (error) => {
      span?.end(error);
      if (error === undefined) {
        dayRun.acceptance.confirmed(smsNumber);
        dayRun.announcer.noteAccepted(dayRun.acceptance.acceptedCount);
      } else dayRun.acceptance.refused(smsNumber);
      onSettled(error);
    });
  }

  #runOf(nowMs: number): DayRun {
    const day = Math.floor(nowMs / DAY_MS);
    const current = this.#runs.at(-1);
    if (current !== undefined && current.day >= day) return current;
    if (current !== undefined) this.#parts.clock.after(STAYS_OPEN_MS, () => this.#endRun(current));
    const next = this.#begin(day);
    this.#runs.push(next);
    return next;
  }

  #begin(day: number): DayRun {
    const { queueName, processMark, announceEvery, announceAgainMs } = this.#options;
    const { publisher, clock } = this.#parts;
    const run = apiRunOf(new Date(day * DAY_MS).toISOString().slice(0, 10), processMark);
    const acceptance = new Acceptance();
    const standingNow = () => {
      const { acceptedCount: accepted, acceptedUpTo } = acceptance;
      return accepted === 0 ? undefined : { run, queue: queueName, accepted, acceptedUpTo, input: API_INPUT };
    };
    const announcer = new RunAnnouncer(
      { announcerId: processMark, announceEvery, announceAgainMs },
      { publisher, clock, republisher: this.#republisher, standingNow },
    );
    announcer.start();
    return { day, run, acceptance, announcer };
  }

  /** The day is over, and so are the confirms of its last SMS. */
  #endRun(dayRun: DayRun): void {
    dayRun.announcer.stop();
    void dayRun.announcer.announceEnd();
  }
}
