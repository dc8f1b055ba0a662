/** The laws of sending: when the carrier may be asked, how often, and how an SMS may end. */
import type { OutcomeRecord } from '../../../shared/domain/outcome/outcome.ts';
import { REASONS } from '../../../shared/domain/schedule/retry-schedule.ts';
import { openingFrom } from '../../../shared/domain/schedule/sending-window.ts';
import type { SendingWishes } from '../../../shared/domain/sms/envelope.ts';
import { fateOf } from '../../../shared/pipeline/fate.ts';
import { WORLD_BEGAN_AT_MS } from '../../../shared/rehearsal/simulated-process.ts';
import { isRightlyExpired, judgeEarliness } from '../record-laws.ts';
import type { Scenario } from './scenario.ts';
import { MAX_BEHIND_MS } from './wishes.ts';

/** The carrier was asked to send. */
export interface SendRequest {
  readonly smsId: string;
  readonly attempt: number;
  /** The true time of the world, milliseconds since the epoch. */
  readonly atMs: number;
  /** What the clock of the sender showed. */
  readonly clockMs: number;
}

/** Whatever becomes of the answer: no request may come too early, too late, or once too often. */
export function judgeRequests(scenario: Scenario, requests: readonly SendRequest[]): string[] {
  const wishes = wishesOf(scenario);
  return requests.flatMap((request) => {
    const { smsId, attempt, atMs, clockMs } = request;
    const say = (isBroken: boolean, what: string) =>
      isBroken ? [`attempt ${attempt} of ${smsId} at ${atMs - WORLD_BEGAN_AT_MS} ms ${what}`] : [];
    const { notBeforeMs = 0, expiresAtMs = Infinity } = wishes.get(smsId) ?? {};
    const { window } = scenario;
    const last = timelessFateOf(scenario, smsId).attempts.length;
    const isSentNow = sentNowAttemptsOf(scenario, smsId).includes(attempt);
    return [
      ...say(attempt > last, `came although attempt ${last} ended it`),
      ...say(
        attempt === 1 && clockMs < notBeforeMs && !isSentNow,
        `came ${notBeforeMs - clockMs} ms too early`,
      ),
      ...say(
        atMs > expiresAtMs && clockMs >= atMs - MAX_BEHIND_MS,
        `came ${atMs - expiresAtMs} ms after it expired`,
      ),
      ...say(window !== undefined && openingFrom(window, clockMs) > clockMs, `came outside ${window?.text}`),
      ...say(atMs >= cancelledAtMsOf(scenario, smsId), 'came after it was cancelled'),
    ];
  });
}

/** The times in the record, and the end it tells: the predicted one, unless the SMS expired or was cancelled before. */
export function judgeRecord(scenario: Scenario, record: OutcomeRecord): string[] {
  const { smsId } = record;
  const isSentNow = (attempt: number) => sentNowAttemptsOf(scenario, smsId).includes(attempt);
  // What a clock stepped back during a send took is not known.
  const isSteppedBack = scenario.interventions.some(
    ({ what }) => what.kind === 'step clock' && what.byMs < 0,
  );
  const early = judgeEarliness(record, scenario, isSteppedBack ? () => true : isSentNow);
  const fate = timelessFateOf(scenario, smsId);
  const due = fate.attempts.map(({ result }) => (result.kind === 'sent' ? 'sent' : result.reason));
  const made = record.attempts.map(({ result, reason }) => reason ?? result);
  const isDueEnd =
    record.status === fate.status && record.reason === fate.reason && made.length === due.length;
  const isOnItsWay = made.every((result, index) => result === due[index]);
  if (isOnItsWay && (isDueEnd || isEndedBefore(scenario, record, isSteppedBack))) return early;
  const told = `${record.status} (${record.reason}) after ${made.join(', ')}`;
  return [
    ...early,
    `${smsId} ended as ${told}, not as ${fate.status} (${fate.reason}) after ${due.join(', ')}`,
  ];
}

// Of a message from the sender to RabbitMQ and back, over ten hold queues.
const MAX_TRAVELS = 40;
/** For how long a sender may hold an SMS in memory, and no other one where it takes one at a time. */
const HELD_IN_MEMORY_MS = 1_000;

/** Where nothing goes wrong, an SMS waits for others at most: while they are sent, held in memory, or throttled. */
export function judgeLateness(scenario: Scenario, records: readonly OutcomeRecord[]): string[] {
  const { throttling, window, maxTravelMs } = scenario;
  if (throttling !== undefined || window !== undefined) return [];
  const attempts = records.flatMap((record) => record.attempts);
  const sendingMs = attempts.reduce((sum, { tookMs }) => sum + tookMs, 0);
  const mostMs = sendingMs + MAX_TRAVELS * maxTravelMs + (attempts.length + 1) * HELD_IN_MEMORY_MS;
  return records.flatMap(({ smsId, acceptedAt, notBefore = acceptedAt, attempts: made }) =>
    made.flatMap(({ attempt, startedAt, lateMs = 0 }) => {
      // What had to wait for a moment in the past had to wait for nothing.
      const pastMs = attempt === 1 ? Math.max(0, Date.parse(acceptedAt) - Date.parse(notBefore)) : 0;
      return lateMs - pastMs > mostMs
        ? [`attempt ${attempt} of ${smsId} at ${startedAt} began ${lateMs} ms late`]
        : [];
    }),
  );
}

function isEndedBefore(scenario: Scenario, record: OutcomeRecord, isSteppedBack: boolean): boolean {
  if (record.reason === REASONS.cancelled) return cancelledAtMsOf(scenario, record.smsId) < Infinity;
  return isSteppedBack ? record.reason === REASONS.expired : isRightlyExpired(record, scenario);
}

/** What becomes of an SMS that may be sent at any time. */
function timelessFateOf(scenario: Scenario, smsId: string) {
  return fateOf({ ...scenario, window: undefined }, smsId);
}

function wishesOf({ sms }: Scenario): Map<string, SendingWishes> {
  return new Map(sms.map(({ id, wishes = {} }) => [id, wishes]));
}

function sentNowAttemptsOf({ directives }: Scenario, smsId: string): number[] {
  return directives.flatMap((each) => (each.smsId === smsId ? (each.sentNowAttempt ?? []) : []));
}

/** Milliseconds since the epoch. */
function cancelledAtMsOf({ directives }: Scenario, smsId: string): number {
  const cancels = directives.filter((each) => each.smsId === smsId && each.sentNowAttempt === undefined);
  return Math.min(...cancels.map(({ atMs }) => WORLD_BEGAN_AT_MS + atMs));
}
