import { outcomeEventOf } from '../../../shared/domain/outcome/outcome-event.ts';
import { parseOutcomeLine } from '../../../shared/domain/outcome/outcome-object.ts';
import type { OutgoingMessage } from '../../../shared/domain/sms/message.ts';
import { describeError, isUnpublishable, UnroutableError } from '../../../shared/errors.ts';
import type { PublisherWithState } from '../../../shared/ports/publisher.ts';
import type { RecorderOptions } from '../recorder-options.ts';

/** Lines that are read and published in one turn of the event loop; sending must not wait longer than a few milliseconds. */
const LINES_TOGETHER = 200;
/** So long no event of a status is published for which no queue was bound. */
const NOBODY_MS = 1_000;
const STATUSES = ['sent', 'failed', 'parked'] as const;
// JSON escapes quotes, so these bytes stand nowhere else in a record.
const STATUS_MARKS = STATUSES.map((status) => [status, Buffer.from(`"status":"${status}"`)] as const);

/**
 * Publishes the events of stored outcomes, at least once. A journal message waits for the events of its outcomes, so the
 * events of a recorder that dies are published by the recorder that gets its messages.
 *
 * An event gets one try. A queue of another service may be full for days, and recording must not wait for it. The line of
 * an event that RabbitMQ does not confirm goes to `<QUEUE_NAME>.journal.later`. The line comes back to the journal 20 s
 * later, Redis answers that the outcome is recorded, and its event gets the next try. So an outcome goes round in durable queues
 * until its event is confirmed.
 *
 * Events that nobody has bound a queue for cost nothing: RabbitMQ returns the first of them, and for a second those of the same
 * status are neither read nor published.
 */
export class OutcomeEvents {
  readonly #publisher: PublisherWithState;
  readonly #options: Pick<RecorderOptions, 'later' | 'log' | 'clock'>;
  /** By status. */
  readonly #nobodyUntilMs = new Map<string, number>();
  #isTold = false;

  constructor(publisher: PublisherWithState, options: Pick<RecorderOptions, 'later' | 'log' | 'clock'>) {
    this.#publisher = publisher;
    this.#options = options;
  }

  /**
   * Resolves once RabbitMQ has confirmed the event of each line, or the line itself for the next try.
   * @param isWanted false where the journal messages of the lines come again by themselves
   * @throws UnencodableError, MessageTooLargeError
   */
  async publish(lines: readonly Buffer[], isWanted: () => boolean): Promise<void> {
    for (let start = 0; start < lines.length && isWanted(); start += LINES_TOGETHER)
      await this.#publishPart(lines.slice(start, start + LINES_TOGETHER), isWanted);
  }

  async #publishPart(lines: readonly Buffer[], isWanted: () => boolean): Promise<void> {
    const asked = this.#asked(lines);
    if (asked.length === 0) return;
    const failures = await Promise.all(asked.map((line) => this.#try(line)));
    const failure = failures.find((error) => error !== undefined);
    if (failure === undefined) {
      this.#tellThatItGoesOn();
      return;
    }
    const unpublishable = failures.find(isUnpublishable);
    if (unpublishable !== undefined) throw unpublishable;
    if (!isWanted()) return;
    const unconfirmed = asked.filter((_, index) => failures[index] !== undefined);
    this.#tell(failure);
    await Promise.all(unconfirmed.map((line) => this.#options.later.append(line.toString())));
  }

  /** The lines whose events somebody may have bound a queue for. */
  #asked(lines: readonly Buffer[]): readonly Buffer[] {
    const nowMs = this.#options.clock.nowMs();
    const unasked = STATUS_MARKS.filter(([status]) => {
      const leftMs = (this.#nobodyUntilMs.get(status) ?? 0) - nowMs;
      // More is left only where the clock was set back.
      return leftMs > 0 && leftMs <= NOBODY_MS;
    });
    if (unasked.length === 0) return lines;
    return lines.filter((line) => !unasked.some(([, mark]) => line.includes(mark)));
  }

  /** @returns why there is no confirm; undefined where there is one, or where nobody wants the event */
  #try(line: Buffer): Promise<Error | undefined> {
    const record = parseOutcomeLine(line.toString());
    if (record === undefined || record.status === 'known') return Promise.resolve(undefined);
    // Waiting for a connection would hold up the recording. During an alarm nothing else can be published either.
    if (this.#publisher.trouble === 'away') return Promise.resolve(new Error('there is no connection'));
    return this.#confirmed(outcomeEventOf(record, line));
  }

  #confirmed(message: OutgoingMessage): Promise<Error | undefined> {
    return new Promise((resolve) =>
      this.#publisher.publishThen(message, (error) => {
        if (!(error instanceof UnroutableError)) return resolve(error);
        this.#nobodyUntilMs.set(message.routingKey, this.#options.clock.nowMs() + NOBODY_MS);
        resolve(undefined);
      }),
    );
  }

  /** Once for a whole series: each outcome that goes round would be a line. */
  #tell(error: Error): void {
    if (!this.#isTold)
      this.#options.log.warn(
        { reason: describeError(error) },
        'RabbitMQ does not confirm outcome events: their outcomes go round in the journal until it does',
      );
    this.#isTold = true;
  }

  #tellThatItGoesOn(): void {
    if (this.#isTold) this.#options.log.info({}, 'RabbitMQ confirms outcome events again');
    this.#isTold = false;
  }
}
