/**
 * How long until every SMS has its outcome, from one snapshot. Two things take time: the SMS that wait for a sender take
 * the time that the present rate needs for their attempts, and a share of them fails and climbs the ladder of retries.
 * A rung counts as long as at least half an SMS is expected to reach it.
 */
import type { QueueDepths, Snapshot } from '../../../shared/domain/snapshot.ts';
import { smsWaitingIn } from '../../../shared/pipeline/readings/queue-depths.ts';

interface Step {
  readonly delaySeconds: number;
  readonly messages: number;
}

const REACHED_FROM = 0.5;

/** Seconds; undefined where the snapshot does not tell enough. */
export function secondsLeft(snapshot: Snapshot): number | undefined {
  const { queues, inProgress, state, lastTenSeconds, held } = snapshot;
  const failureRate = snapshot.lastMinute?.failureRate ?? snapshot.failureRate;
  if (state !== 'ok' || inProgress === null || inProgress === 0 || failureRate === null) return undefined;
  if (queues.work === null || lastTenSeconds === null) return undefined;
  // Held SMS wait for moments that no queue tells.
  if ((held ?? 0) > 0) return undefined;
  const steps = stepsOf(queues);
  const onLadder = steps.reduce((sum, { messages }) => sum + messages, 0);
  // The queues hold SMS of other runs, too, or SMS that are not counted yet.
  if (smsWaitingIn(queues) > inProgress) return undefined;
  const atSenders = inProgress - onLadder;
  if (atSenders > 0 && hasJustBegun(snapshot)) return undefined;
  const rate = lastTenSeconds.attemptsPerSecond;
  const sendingSeconds = secondsToSend(atSenders, failureRate, steps.length, rate);
  if (sendingSeconds === undefined) return undefined;
  const fresh = sendingSeconds + secondsToClimb(steps, atSenders * failureRate, failureRate);
  const waiting = steps.map(({ delaySeconds, messages }, index) =>
    messages === 0
      ? 0
      : delaySeconds + secondsToClimb(steps.slice(index + 1), messages * failureRate, failureRate),
  );
  return Math.max(fresh, ...waiting);
}

/** Where all attempts of the last minute are of the last 10 s, it is not known over how many seconds they were made. */
function hasJustBegun({ lastTenSeconds, lastMinute }: Snapshot): boolean {
  const before = (lastMinute?.attemptsPerSecond ?? 0) * 60 - (lastTenSeconds?.attemptsPerSecond ?? 0) * 10;
  return before < 1;
}

function secondsToSend(
  smsCount: number,
  failureRate: number,
  retries: number,
  attemptsPerSecond: number,
): number | undefined {
  if (smsCount === 0) return 0;
  if (attemptsPerSecond === 0) return undefined;
  let attempts = 0;
  for (let number = 0; number <= retries; number += 1) attempts += smsCount * failureRate ** number;
  return attempts / attemptsPerSecond;
}

/** @param climbers how many SMS are expected to reach the first of these steps */
function secondsToClimb(steps: readonly Step[], climbers: number, failureRate: number): number {
  let expected = climbers;
  let seconds = 0;
  for (const { delaySeconds } of steps) {
    if (expected < REACHED_FROM) break;
    seconds += delaySeconds;
    expected *= failureRate;
  }
  return seconds;
}

/** A step for each attempt. Queues of an older schedule count only while something waits in them. */
function stepsOf({ retry }: QueueDepths): Step[] {
  const byAttempt = new Map<number, Step>();
  for (const { attempt, delaySeconds, messages } of retry) {
    const step = byAttempt.get(attempt);
    if (step === undefined) byAttempt.set(attempt, { delaySeconds, messages });
    else
      byAttempt.set(attempt, {
        delaySeconds: Math.max(step.delaySeconds, delaySeconds),
        messages: step.messages + messages,
      });
  }
  return [...byAttempt].sort(([left], [right]) => left - right).map(([, step]) => step);
}

/** `about 40 s`, `about 5 min`: no more exact than an estimate is. */
export function aboutHowLong(seconds: number): string {
  if (seconds < 1.5) return 'a moment';
  if (seconds < 20) return `about ${Math.round(seconds)} s`;
  if (seconds < 100) return `about ${Math.round(seconds / 5) * 5} s`;
  if (seconds < 100 * 60) return `about ${Math.round(seconds / 60)} min`;
  if (seconds < 48 * 3_600) return `about ${Math.round(seconds / 3_600)} h`;
  return `about ${Math.round(seconds / 86_400)} days`;
}
