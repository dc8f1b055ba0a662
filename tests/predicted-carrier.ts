/** The simulated carrier as a sender is told of it, and what becomes of an SMS with it. */
import { formatDuration } from '../shared/domain/duration.ts';
import { decideNextStep, type RetrySchedule } from '../shared/domain/retry-schedule.ts';
import { type SimulationSettings, simulateAttempt } from '../shared/domain/simulation.ts';

/** Settings of the environment. */
export function carrierEnvironmentOf(
  simulation: SimulationSettings,
  schedule: RetrySchedule,
): Record<string, string> {
  return {
    RANDOM_SEED: String(simulation.seed),
    MEAN_PROCESSING_TIME: String(simulation.meanProcessingMs / 1_000),
    PROCESSING_TIME_DISTRIBUTION: simulation.distribution,
    FAILURE_RATE: String(simulation.failureRate),
    PERMANENT_FAILURE_SHARE: String(simulation.permanentFailureShare),
    RETRY_SCHEDULE: schedule.map(formatDuration).join(','),
  };
}

/** How an SMS ends: it follows from its id. */
export function predictStatus(
  simulation: SimulationSettings,
  schedule: RetrySchedule,
  smsId: string,
): 'sent' | 'failed' {
  for (let attempt = 1; ; attempt += 1) {
    const step = decideNextStep(attempt, simulateAttempt(simulation, smsId, attempt).result, schedule, 0);
    if (step.kind === 'finish') return step.status;
  }
}
