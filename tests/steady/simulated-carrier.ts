/** What the senders are told about their carrier, and what must become of the SMS therefore. */
import { formatDuration } from '../../shared/domain/duration.ts';
import { decideNextStep } from '../../shared/domain/retry-schedule.ts';
import { type SimulationSettings, simulateAttempt } from '../../shared/domain/simulation.ts';
import { smsIdOf } from '../../shared/domain/sms.ts';
import type { Outcomes } from './judge-steady.ts';

const SIMULATION: SimulationSettings = {
  ...{ seed: 1, meanProcessingMs: 50, distribution: 'exponential' },
  ...{ failureRate: 0.1, permanentFailureShare: 0.1 },
};
const SCHEDULE = [1_000, 2_000];

export const CARRIER_ENVIRONMENT: Readonly<Record<string, string>> = {
  RANDOM_SEED: String(SIMULATION.seed),
  MEAN_PROCESSING_TIME: String(SIMULATION.meanProcessingMs / 1_000),
  PROCESSING_TIME_DISTRIBUTION: SIMULATION.distribution,
  FAILURE_RATE: String(SIMULATION.failureRate),
  PERMANENT_FAILURE_SHARE: String(SIMULATION.permanentFailureShare),
  RETRY_SCHEDULE: SCHEDULE.map(formatDuration).join(','),
};

/** How the SMS of generated runs end: it follows from their ids. */
export function predictOutcomes(
  runs: readonly { readonly name: string; readonly smsCount: number }[],
): Outcomes {
  const outcomes = { sent: 0, failed: 0 };
  for (const { name, smsCount } of runs) {
    for (let smsNumber = 1; smsNumber <= smsCount; smsNumber += 1)
      outcomes[predictOutcome(smsIdOf(name, smsNumber))] += 1;
  }
  return outcomes;
}

function predictOutcome(smsId: string): keyof Outcomes {
  for (let attempt = 1; ; attempt += 1) {
    const step = decideNextStep(attempt, simulateAttempt(SIMULATION, smsId, attempt).result, SCHEDULE, 0);
    if (step.kind === 'finish') return step.status;
  }
}
