/**
 * One delivery, top to bottom: read it, wait until it is due, ask the gateway, decide, and say what RabbitMQ must
 * have confirmed before the delivery may be acknowledged.
 */
import { type AttemptRecord, type GatewayResult, readableReason } from '../shared/domain/attempt.ts';
import { decodeEnvelope, type Envelope, encodeEnvelope } from '../shared/domain/envelope.ts';
import { isoTime } from '../shared/domain/iso-time.ts';
import { encodeJournalEntry } from '../shared/domain/journal.ts';
import type { OutcomeRecord } from '../shared/domain/outcome.ts';
import { decideNextStep, type RetrySchedule, waitingPlaceOf } from '../shared/domain/retry-schedule.ts';
import { ROUTING_KEYS, retryRoutingKey } from '../shared/domain/topology.ts';
import { explainUnreadable } from '../shared/domain/unreadable-reason.ts';
import type { Clock, Delivery, Gateway } from '../shared/ports.ts';
import { type ParkingContext, parkingOf } from './park.ts';
import type { Settlement } from './settlement.ts';

export interface AttemptOptions extends ParkingContext {
  readonly gateway: Gateway;
  readonly schedule: RetrySchedule;
}

/** Fields that are on their way into JSON, which leaves out what is undefined. */
type Undefinable<Fields> = { [Name in keyof Fields]: Fields[Name] | undefined };

/**
 * A retry is early where the clock of another sender is ahead of ours, or ours was stepped back. What is early by this much
 * at most is held until it is due. What is earlier waits in its retry queue again, for the whole delay.
 */
export const MAX_HOLD_MS = 5_000;
/** A first attempt is not waited for longer: its client has probably written another unit. */
const MAX_AHEAD_MS = 366 * 86_400_000;
/** What has no queue to wait in is looked at again after this long. */
const ROUND_MS = 1_000;

/** True once nothing may begin any more with a delivery: its attempt then rejects, and it stays unacknowledged. */
type IsStopping = (delivery: Delivery) => boolean;

export async function performAttempt(
  delivery: Delivery,
  options: AttemptOptions,
  isStopping: IsStopping,
): Promise<Settlement> {
  const { clock, gateway, schedule } = options;
  // 1. Read it.
  const decoded = decodeEnvelope(delivery.message);
  if (decoded.kind === 'unreadable')
    return parkingOf(delivery.message, explainUnreadable(decoded.reason), options);
  const { envelope } = decoded;
  // 2. Wait until it is due.
  const dueMs = envelope.notBeforeMs ?? 0;
  if (dueMs > clock.nowMs()) {
    if (envelope.attempt === 1 && dueMs > clock.nowMs() + MAX_AHEAD_MS)
      return parkingOf(
        delivery.message,
        explainUnreadable('notBefore header is more than a year ahead'),
        options,
      );
    const earlyMs = await holdWhileAlmostDue(dueMs, clock, () => isStopping(delivery));
    if (earlyMs > 0) return putBack(envelope, schedule, earlyMs, options, () => isStopping(delivery));
  }
  // 3. Send.
  const startedAtMs = clock.nowMs();
  const startedAt = isoTime(startedAtMs, clock.microsecond?.());
  let result: GatewayResult;
  try {
    result = await gateway.send(envelope.sms, envelope.attempt);
  } catch (error) {
    if (isStopping(delivery)) throw error;
    // A gateway that throws is broken, but the SMS was attempted all the same: it gets its retry like any other.
    options.log.error({ smsId: envelope.sms.id, err: error }, 'the gateway broke');
    result = { kind: 'failed', reason: 'gateway error', isPermanent: false };
  }
  // 4. Decide.
  const finishedAtMs = clock.nowMs();
  const record = describeAttempt(envelope, result, startedAt, startedAtMs, finishedAtMs);
  const step = decideNextStep(envelope.attempt, result, schedule, finishedAtMs);
  if (step.kind === 'finish') return finish(envelope, record, step, startedAtMs, finishedAtMs, options.queue);
  const retry = followUp(envelope, record, step.notBeforeMs, startedAtMs);
  return {
    ...republish(retry, retryRoutingKey(step.failedAttempt, step.delayMs)),
    journalLine: encodeJournalEntry({
      kind: 'attempt',
      smsId: envelope.sms.id,
      run: envelope.sms.run,
      attempt: record,
    }),
  };
}

function describeAttempt(
  { attempt, notBeforeMs }: Envelope,
  result: GatewayResult,
  startedAt: string,
  startedAtMs: number,
  finishedAtMs: number,
): AttemptRecord {
  const record: Undefinable<AttemptRecord> = {
    attempt,
    startedAt,
    lateMs: notBeforeMs === undefined ? undefined : startedAtMs - notBeforeMs,
    // A clock stepped back during the send must not make a negative duration.
    tookMs: Math.max(0, finishedAtMs - startedAtMs),
    result: result.kind,
    reason: result.kind === 'failed' ? readableReason(result.reason) : undefined,
  };
  return record as AttemptRecord;
}

function finish(
  { sms, acceptedAtMs, history }: Envelope,
  record: AttemptRecord,
  step: { readonly status: 'sent' } | { readonly status: 'failed'; readonly reason: string },
  startedAtMs: number,
  finishedAtMs: number,
  queue: string,
): Settlement {
  const outcome: Undefinable<OutcomeRecord> = {
    smsId: sms.id,
    run: sms.run,
    queue,
    to: sms.to,
    text: sms.text,
    from: sms.from,
    reference: sms.reference,
    status: step.status,
    reason: step.status === 'failed' ? readableReason(step.reason) : undefined,
    acceptedAt: isoTime(acceptedAtMs ?? startedAtMs),
    finishedAt: isoTime(finishedAtMs),
    attempts: [...history, record],
  };
  return { journalLine: JSON.stringify(outcome) };
}

function followUp(
  envelope: Envelope,
  record: AttemptRecord,
  notBeforeMs: number,
  startedAtMs: number,
): Envelope {
  return {
    ...envelope,
    attempt: envelope.attempt + 1,
    acceptedAtMs: envelope.acceptedAtMs ?? startedAtMs,
    notBeforeMs,
    history: [...envelope.history, record],
  };
}

function republish(envelope: Envelope, routingKey: string): Settlement {
  const message = encodeEnvelope(envelope, routingKey);
  if (Object.keys(envelope.foreignHeaders).length === 0) return { message };
  return { message, plainMessage: encodeEnvelope({ ...envelope, foreignHeaders: {} }, routingKey) };
}

/** No attempt: the SMS goes to wait again in the queue it came back from too early. */
async function putBack(
  envelope: Envelope,
  schedule: RetrySchedule,
  earlyMs: number,
  { clock, log }: AttemptOptions,
  isStopping: () => boolean,
): Promise<Settlement> {
  const place = waitingPlaceOf(envelope.attempt, schedule);
  const told = { smsId: envelope.sms.id, attempt: envelope.attempt, earlyMs };
  // A first attempt waits because its client wished so, perhaps for many rounds.
  if (envelope.attempt === 1) log.debug(told, 'SMS waits for its notBefore');
  else log.warn(told, 'SMS came before it was due, waiting again');
  if (place === undefined) {
    await hold(ROUND_MS, clock, isStopping);
    return republish(envelope, ROUTING_KEYS.due);
  }
  return republish(envelope, retryRoutingKey(place.failedAttempt, place.delayMs));
}

/** Waits for an SMS that is almost due; tells by how much it is still early, where that is more than may be held. */
async function holdWhileAlmostDue(dueMs: number, clock: Clock, isStopping: () => boolean): Promise<number> {
  for (;;) {
    // Again after each wait: timers may fire a millisecond early, and the clock may be stepped back meanwhile.
    const earlyMs = dueMs - clock.nowMs();
    if (earlyMs <= 0 || earlyMs > MAX_HOLD_MS) return Math.max(0, earlyMs);
    await hold(earlyMs, clock, isStopping);
  }
}

async function hold(waitMs: number, clock: Clock, isStopping: () => boolean): Promise<void> {
  await new Promise<void>((resolve) => clock.after(waitMs, resolve));
  if (isStopping()) throw new Error('stopped before the SMS was due');
}
