/**
 * One delivery, top to bottom: read it, wait until it is due, ask the gateway, decide. The answer is what RabbitMQ must have
 * confirmed before the delivery may be acknowledged.
 */

import { isoTime, timeOf } from '../../domain/iso-time.ts';
import {
  type AttemptRecord,
  type AttemptResult,
  type GatewayResult,
  readableReason,
  type Throttled,
} from '../../domain/outcome/attempt.ts';
import { encodeJournalEntry } from '../../domain/outcome/journal.ts';
import type { OutcomeRecord } from '../../domain/outcome/outcome.ts';
import { MAX_AHEAD_MS } from '../../domain/schedule/moment.ts';
import { noteHold } from '../../domain/schedule/overdue.ts';
import {
  decideNextStep,
  decideStart,
  REASONS,
  type RetryPlace,
  type SendingRules,
} from '../../domain/schedule/retry-schedule.ts';
import { decodeEnvelope, type Envelope, encodeEnvelope } from '../../domain/sms/envelope.ts';
import type { IncomingMessage } from '../../domain/sms/message.ts';
import { explainUnreadable } from '../../domain/sms/unreadable-reason.ts';
import { holdRoutingKeyFor, ROUTING_KEYS, retryRoutingKey } from '../../domain/topology/topology.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Delivery } from '../../ports/delivery-source.ts';
import type { Gateway } from '../../ports/gateway.ts';
import type { Traces } from '../traces.ts';
import type { Directives } from './directives.ts';
import { type ParkingContext, parkingOf } from './park.ts';
import type { Settlement } from './settlement.ts';

export interface AttemptOptions extends ParkingContext, SendingRules {
  readonly gateway: Gateway;
  readonly directives: Directives;
  /** Hears of each attempt that the gateway has answered. */
  readonly onAttempt?: (attempt: AttemptRecord) => void;
  /** Undefined: there are no spans. */
  readonly traces?: Traces | undefined;
}

const CANCELLED = { status: 'failed', reason: REASONS.cancelled } as const;

/** Fields on their way into JSON, which leaves out those that are undefined. */
type Undefinable<Fields> = { [Name in keyof Fields]: Fields[Name] | undefined };

/** An SMS that is early by less than this is held in memory. For longer it waits in a hold queue. */
export const MAX_HOLD_MS = 1_500;
/**
 * A first attempt that is due later than this is parked: its client has probably written another unit. The clock of a sender
 * may be behind that of whoever accepted the SMS.
 */
const TOO_FAR_AHEAD_MS = MAX_AHEAD_MS + 3_600_000;

/** True once nothing may begin with a delivery any more. Its attempt then rejects, and it stays unacknowledged. */
type IsStopping = (delivery: Delivery) => boolean;

/** @returns what must be confirmed, or that the carrier takes nothing now: then the delivery stays in the hand */
export async function performAttempt(
  delivery: Delivery,
  options: AttemptOptions,
  isStopping: IsStopping,
): Promise<Settlement | Throttled> {
  const { clock, gateway, directives } = options;
  // 1. Read it.
  const decoded = decodeEnvelope(delivery.message);
  if (decoded.kind === 'unreadable')
    return parkingOf(delivery.message, explainUnreadable(decoded.reason), options);
  const { sms, attempt } = decoded.envelope;
  if (attempt === 1 && (decoded.envelope.notBeforeMs ?? 0) > clock.nowMs() + TOO_FAR_AHEAD_MS)
    return parkingOf(
      delivery.message,
      explainUnreadable('notBefore header is more than a year ahead'),
      options,
    );
  // 2. Wait until it is due.
  const isSentNow = directives.isSentNow(sms.id, attempt);
  const envelope = isSentNow ? { ...decoded.envelope, notBeforeMs: undefined } : decoded.envelope;
  for (;;) {
    if (directives.isCancelled(sms)) return failUnsent(envelope, REASONS.cancelled, options);
    const start = decideStart(envelope, options, clock.nowMs());
    if (start.kind === 'begin') break;
    if (start.kind === 'expired') return failUnsent(envelope, REASONS.expired, options);
    // Measured again after each wait: a timer may fire a millisecond early, and the clock may be stepped back.
    const earlyMs = start.notBeforeMs - clock.nowMs();
    if (earlyMs >= MAX_HOLD_MS)
      return republish(
        { ...envelope, notBeforeMs: start.notBeforeMs },
        placeOf(undefined, earlyMs),
        clock.nowMs(),
      );
    await hold(earlyMs, clock);
    if (isStopping(delivery)) throw new Error('stopped before the SMS was due');
  }
  // 3. Send.
  const startedAtMs = clock.nowMs();
  const startedAt = isoTime(startedAtMs, clock.microsecond?.());
  let result: GatewayResult;
  try {
    result = await (options.traces === undefined
      ? gateway.send(sms, attempt)
      : options.traces.attempt(sms.id, attempt, envelope.traceparent, () => gateway.send(sms, attempt)));
  } catch (error) {
    if (isStopping(delivery)) throw error;
    // A gateway that throws is broken, but the SMS was attempted: it gets its retry like any other.
    options.log.error({ smsId: sms.id, err: error }, 'the gateway broke');
    result = { kind: 'failed', reason: 'gateway error', isPermanent: false };
  }
  if (result.kind === 'throttled') return result;
  // 4. Decide.
  const finishedAtMs = clock.nowMs();
  const record = attemptRecordOf(envelope, result, startedAt, startedAtMs, finishedAtMs);
  options.onAttempt?.(record);
  const attempts = [...envelope.history, record];
  const step = decideNextStep(
    {
      attempt,
      result,
      finishedAtMs,
      anchorMs: anchorOf(envelope, attempts) ?? startedAtMs,
      expiresAtMs: envelope.expiresAtMs,
    },
    options,
  );
  if (step.kind === 'finish')
    return finish(envelope, attempts, step, startedAtMs, finishedAtMs, options.queue);
  if (directives.isCancelled(sms))
    return finish(envelope, attempts, CANCELLED, startedAtMs, finishedAtMs, options.queue);
  const retry = followUp(envelope, attempts, step.notBeforeMs, startedAtMs);
  return {
    ...republish(retry, placeOf(step.place, step.notBeforeMs - finishedAtMs), finishedAtMs),
    journalLine: encodeJournalEntry({ kind: 'attempt', smsId: sms.id, run: sms.run, attempt: record }),
  };
}

/**
 * What gives back an SMS that was not begun, because nothing may begin for `waitMs`: it waits in a hold queue, as it came.
 * One that has its end already gets it.
 */
export function giveBack(message: IncomingMessage, waitMs: number, options: AttemptOptions): Settlement {
  const decoded = decodeEnvelope(message);
  if (decoded.kind === 'unreadable') return parkingOf(message, explainUnreadable(decoded.reason), options);
  const { envelope } = decoded;
  if (options.directives.isCancelled(envelope.sms)) return failUnsent(envelope, REASONS.cancelled, options);
  if (decideStart(envelope, options, options.clock.nowMs()).kind === 'expired')
    return failUnsent(envelope, REASONS.expired, options);
  return republish(envelope, placeOf(undefined, waitMs), options.clock.nowMs());
}

/** Where an SMS waits: in its place in the schedule, in a hold queue or, for less than its delay, in a sender. */
function placeOf(place: RetryPlace | undefined, waitMs: number): string {
  if (place !== undefined) return retryRoutingKey(place.failedAttempt, place.delayMs);
  return holdRoutingKeyFor(waitMs) ?? ROUTING_KEYS.due;
}

/**
 * When the first attempt was due; undefined where the message does not say when its SMS was accepted. A moment before the
 * acceptance means the acceptance.
 */
function anchorOf({ acceptedAtMs }: Envelope, [first]: readonly AttemptRecord[]): number | undefined {
  const plannedMs = plannedStartOf(first) ?? acceptedAtMs;
  return plannedMs === undefined ? undefined : Math.max(plannedMs, acceptedAtMs ?? plannedMs);
}

/** The moment that an attempt had to wait for; undefined for one that waited for nothing. */
function plannedStartOf(record: AttemptRecord | undefined): number | undefined {
  return record?.lateMs === undefined ? undefined : timeOf(record.startedAt) - record.lateMs;
}

function attemptRecordOf(
  { attempt, notBeforeMs }: Envelope,
  result: AttemptResult,
  startedAt: string,
  startedAtMs: number,
  finishedAtMs: number,
): AttemptRecord {
  const record: Undefinable<AttemptRecord> = {
    attempt,
    startedAt,
    lateMs: notBeforeMs === undefined ? undefined : startedAtMs - notBeforeMs,
    // A clock that is stepped back during the send must not make a negative duration.
    tookMs: Math.max(0, finishedAtMs - startedAtMs),
    result: result.kind,
    reason: result.kind === 'sent' ? undefined : readableReason(result.reason),
  };
  return record as AttemptRecord;
}

/** The outcome of an SMS that ends without another attempt. */
function failUnsent(envelope: Envelope, reason: string, { clock, queue }: AttemptOptions): Settlement {
  const nowMs = clock.nowMs();
  return finish(envelope, envelope.history, { status: 'failed', reason }, nowMs, nowMs, queue);
}

function finish(
  envelope: Envelope,
  attempts: readonly AttemptRecord[],
  step: { readonly status: 'sent' } | { readonly status: 'failed'; readonly reason: string },
  startedAtMs: number,
  finishedAtMs: number,
  queue: string,
): Settlement {
  const { sms, acceptedAtMs, expiresAtMs } = envelope;
  // Once it was attempted, the message tells only when the next attempt is due.
  const notBeforeMs = attempts.length === 0 ? envelope.notBeforeMs : plannedStartOf(attempts[0]);
  const outcome: Undefinable<OutcomeRecord> = {
    smsId: sms.id,
    run: sms.run,
    queue,
    to: sms.to,
    text: sms.text,
    from: sms.from,
    reference: sms.reference,
    priority: envelope.priority,
    notBefore: notBeforeMs === undefined ? undefined : isoTime(notBeforeMs),
    expiresAt: expiresAtMs === undefined ? undefined : isoTime(expiresAtMs),
    traceparent: envelope.traceparent,
    redriveOf: envelope.redriveOf,
    status: step.status,
    reason: step.status === 'failed' ? readableReason(step.reason) : undefined,
    acceptedAt: isoTime(acceptedAtMs ?? startedAtMs),
    finishedAt: isoTime(finishedAtMs),
    attempts,
  };
  return { journalLine: JSON.stringify(outcome) };
}

function followUp(
  envelope: Envelope,
  history: readonly AttemptRecord[],
  notBeforeMs: number,
  startedAtMs: number,
): Envelope {
  return {
    ...envelope,
    attempt: envelope.attempt + 1,
    acceptedAtMs: envelope.acceptedAtMs ?? startedAtMs,
    notBeforeMs,
    history,
  };
}

function republish(envelope: Envelope, routingKey: string, nowMs: number): Settlement {
  const message = noteHold(encodeEnvelope(envelope, routingKey), nowMs);
  if (Object.keys(envelope.foreignHeaders).length === 0) return { message };
  const plain = encodeEnvelope({ ...envelope, foreignHeaders: {} }, routingKey);
  return { message, plainMessage: noteHold(plain, nowMs) };
}

function hold(waitMs: number, clock: Clock): Promise<void> {
  return new Promise((resolve) => void clock.after(waitMs, resolve));
}
