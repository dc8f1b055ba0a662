/**
 * Takes in many SMS of one request. Each gets an answer, in the order in which they came. No more than a window of them are
 * unconfirmed: while RabbitMQ does not confirm, nothing more is read, and the socket of the client fills up.
 */
import { isUtf8 } from 'node:buffer';
import type { z } from 'zod';
import { parseJson } from '../../shared/domain/parse-json.ts';
import { maskPhoneNumbersIn } from '../../shared/domain/sms/sms.ts';
import { pause } from '../../shared/pipeline/waiting.ts';
import type { Clock } from '../../shared/ports/clock.ts';
import type { Logger } from '../../shared/ports/logger.ts';
import type { AcceptOnce } from './accept-once.ts';
import { MAX_LINE_BYTES } from './ndjson-lines.ts';
import { OrderedAnswers } from './ordered-answers.ts';
import { type FieldError, Problem, problemOf } from './problem.ts';
import { type JudgeNumber, type ReadSms, readSms, smsSchema } from './schemas.ts';
import { NotAcceptedError, type SmsIntake } from './sms-intake.ts';

export interface BulkParts {
  readonly intake: SmsIntake;
  readonly once: AcceptOnce;
  readonly judgeNumber: JudgeNumber;
  readonly clock: Clock;
  readonly log: Logger;
}

/** An SMS as it was parsed, or what was wrong with its line. */
export type Item = { readonly value: unknown } | { readonly problem: string };

const WINDOW = 1_000;
/** RabbitMQ away, or an alarm: so long it is waited for. Then the rest is not read. */
const PATIENCE_MS = 20_000;
const LOOK_AGAIN_MS = 50;
const UNUSABLE = 'fields of the SMS cannot be used';

export class BulkIntake {
  readonly #parts: BulkParts;

  constructor(parts: BulkParts) {
    this.#parts = parts;
  }

  /**
   * NDJSON: `{"item":1,"id":"…"}` for each SMS that is accepted, `{"item":2,"error":{…}}` for each that is not. Where RabbitMQ
   * does not come back, the last line is an error without an item: what follows was not read.
   */
  async *answer(
    items: AsyncIterable<readonly Item[]>,
    traceparent: string | undefined,
  ): AsyncGenerator<string> {
    const answers = new OrderedAnswers();
    const forget = this.#parts.intake.onClosing(() => answers.wake());
    try {
      yield* this.#answerAll(items, traceparent, answers);
    } finally {
      forget();
    }
  }

  /** @throws Problem where the SMS could not be accepted as it is */
  requireUsable(value: unknown): void {
    const judged = this.#judge({ value });
    if (judged instanceof Problem) throw judged;
  }

  async *#answerAll(
    items: AsyncIterable<readonly Item[]>,
    traceparent: string | undefined,
    answers: OrderedAnswers,
  ): AsyncGenerator<string> {
    const batches = items[Symbol.asyncIterator]();
    let itemCount = 0;
    let next = batches.next();
    for (let isOver = false; !isOver; ) {
      const hasNext = await Promise.race([next.then(() => true), answers.changed().then(() => false)]);
      if (!hasNext) {
        const settled = answers.take();
        if (settled !== '') yield settled;
        if (this.#parts.intake.trouble === 'closing') return yield* this.#end(answers);
        continue;
      }
      const batch = await next;
      isOver = batch.done === true;
      for (const item of batch.value ?? []) {
        while (answers.openCount >= WINDOW) {
          await answers.changed();
          yield answers.take();
        }
        if (!(await this.#isAccepting())) return yield* this.#end(answers);
        itemCount += 1;
        this.#takeIn(itemCount, item, traceparent, answers.ask());
      }
      if (!isOver) next = batches.next();
      const settled = answers.take();
      if (settled !== '') yield settled;
    }
    yield* this.#rest(answers);
  }

  /** What follows is not read. */
  async *#end(answers: OrderedAnswers): AsyncGenerator<string> {
    yield* this.#rest(answers);
    const error = problemOf(new NotAcceptedError(this.#parts.intake.trouble ?? 'away'));
    yield `${JSON.stringify({ error })}\n`;
  }

  async *#rest(answers: OrderedAnswers): AsyncGenerator<string> {
    while (answers.openCount > 0) {
      await answers.changed();
      yield answers.take();
    }
  }

  async #isAccepting(): Promise<boolean> {
    const { intake, clock } = this.#parts;
    const giveUpAtMs = clock.nowMs() + PATIENCE_MS;
    while (intake.trouble !== undefined) {
      if (intake.trouble === 'closing' || clock.nowMs() >= giveUpAtMs) return false;
      await pause(clock, LOOK_AGAIN_MS);
    }
    return true;
  }

  #takeIn(item: number, read: Item, traceparent: string | undefined, answer: (line: string) => void): void {
    const accepted = (id: string) => answer(`{"item":${item},"id":"${id}"}\n`);
    const refused = (error: unknown) => {
      const problem = problemOf(error) ?? this.#fail(error);
      answer(`${JSON.stringify({ item, error: problem })}\n`);
    };
    const { intake, once } = this.#parts;
    const judged = this.#judge(read);
    if (judged instanceof Problem) refused(judged);
    else if (judged.sms.id !== undefined || judged.sms.sending.sendAtMs !== undefined)
      once
        .accept({ ...judged.sms, traceparent, asWritten: judged.asWritten() })
        .then(({ id }) => accepted(id), refused);
    else {
      const named = intake.name({ ...judged.sms, traceparent });
      intake.acceptThen(named, (error) => (error === undefined ? accepted(named.id) : refused(error)));
    }
  }

  #fail(error: unknown): Problem {
    this.#parts.log.error({ err: error }, 'an SMS of a request to the API failed');
    return new Problem('internal-error', 'the log of the API tells why');
  }

  #judge(read: Item): { readonly sms: ReadSms; readonly asWritten: () => string } | Problem {
    if ('problem' in read) return new Problem('invalid-request', read.problem);
    const written = smsSchema.safeParse(read.value);
    if (!written.success)
      return new Problem('invalid-request', UNUSABLE, written.error.issues.map(fieldErrorOf));
    const judged = readSms(written.data, this.#parts.clock.nowMs(), this.#parts.judgeNumber);
    if ('errors' in judged) return new Problem('invalid-request', UNUSABLE, judged.errors);
    return { sms: judged.sms, asWritten: () => JSON.stringify(written.data) };
  }
}

function fieldErrorOf({ path, message }: z.core.$ZodIssue): FieldError {
  return { field: path.join('.') || 'item', detail: maskPhoneNumbersIn(message).slice(0, 200) };
}

/** @param line undefined for one that is too long */
export function itemOf(line: Buffer | undefined): Item {
  if (line === undefined) return { problem: `the line is longer than ${MAX_LINE_BYTES} bytes` };
  if (!isUtf8(line)) return { problem: 'the line is not UTF-8' };
  const value = parseJson(line.toString());
  return value === undefined ? { problem: 'the line is not JSON' } : { value };
}
