/**
 * What becomes of an SMS with the simulated carrier. It follows from the settings, the id and the times of the SMS, so it is
 * known before the SMS is sent, and no crash can change it. What happened is compared with it.
 *
 * The times are ideal: an attempt starts at the moment when it is due, and ends when the simulated carrier answers. A carrier
 * that throttles spends no attempt. It only makes all of it later, and so may let an SMS expire.
 */
import {
  decideNextStep,
  decideStart,
  type NextStep,
  REASONS,
  type SendingRules,
} from '../domain/schedule/retry-schedule.ts';
import {
  type SimulatedAttempt,
  type SimulationSettings,
  simulateAttempt,
} from '../domain/simulation/simulation.ts';

/** The settings of senders that decide what becomes of an SMS. */
export interface FateSettings extends SendingRules {
  readonly simulation: SimulationSettings;
}

/** The moments of an SMS, milliseconds since the epoch. */
export interface FateTimes {
  readonly acceptedAtMs: number;
  readonly notBeforeMs?: number | undefined;
  readonly expiresAtMs?: number | undefined;
  /** When people cancelled it: no attempt starts from then on. */
  readonly cancelledAtMs?: number | undefined;
}

export interface PossibleAttempt extends SimulatedAttempt {
  readonly attempt: number;
  /** What a sender does then. */
  readonly next: NextStep;
}

export interface FatedAttempt extends PossibleAttempt {
  /** Milliseconds since the epoch. */
  readonly startsAtMs: number;
}

export interface Fate {
  readonly status: 'sent' | 'failed';
  /** Why it failed. */
  readonly reason: string | undefined;
  readonly endsAtMs: number;
  /** All attempts, from the first one on. */
  readonly attempts: readonly FatedAttempt[];
}

const AT_THE_EPOCH: FateTimes = { acceptedAtMs: 0 };

/** @param times by default those of an SMS that is accepted at the epoch, may start at once and never expires */
export function fateOf(settings: FateSettings, smsId: string, times = AT_THE_EPOCH): Fate {
  const { acceptedAtMs, expiresAtMs, cancelledAtMs = Infinity } = times;
  const attempts: FatedAttempt[] = [];
  const failed = (reason: string): Fate => ({ status: 'failed', reason, endsAtMs: nowMs, attempts });
  let nowMs = acceptedAtMs;
  let { notBeforeMs } = times;
  for (;;) {
    if (nowMs >= cancelledAtMs) return failed(REASONS.cancelled);
    const start = decideStart({ notBeforeMs, expiresAtMs }, settings, nowMs);
    if (start.kind === 'expired') return failed(REASONS.expired);
    if (start.kind === 'wait') {
      nowMs = start.notBeforeMs;
      continue;
    }
    const startsAtMs = nowMs;
    const attempt = attempts.length + 1;
    const simulated = simulateAttempt(settings.simulation, smsId, attempt);
    // As the simulated carrier does: timers know whole milliseconds.
    nowMs += Math.floor(simulated.processingMs);
    const anchorMs = attempts[0]?.startsAtMs ?? startsAtMs;
    const made = { attempt, result: simulated.result, finishedAtMs: nowMs, anchorMs, expiresAtMs };
    const next = decideNextStep(made, settings);
    attempts.push({ ...simulated, attempt, startsAtMs, next });
    if (next.kind === 'retry') notBeforeMs = next.notBeforeMs;
    else if (next.status === 'failed') return failed(next.reason);
    else return { status: 'sent', reason: undefined, endsAtMs: nowMs, attempts };
  }
}

/**
 * One attempt of an SMS that never expires, by a clock that shows 0 when the attempt ends: `notBeforeMs` is the wait.
 * @param attempt also one that the SMS never comes to with these settings
 */
export function fateOfAttempt(settings: FateSettings, smsId: string, attempt: number): PossibleAttempt {
  const simulated = simulateAttempt(settings.simulation, smsId, attempt);
  const made = { attempt, result: simulated.result, finishedAtMs: 0, anchorMs: 0, expiresAtMs: undefined };
  return { ...simulated, attempt, next: decideNextStep(made, settings) };
}
