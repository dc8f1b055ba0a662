import { formatDuration } from '../../../shared/domain/schedule/duration.ts';
import type { RetrySchedule } from '../../../shared/domain/schedule/retry-schedule.ts';
import type { SimulationSettings } from '../../../shared/domain/simulation/simulation.ts';

/** The environment that tells a sender of its simulated carrier. */
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
    UNKNOWN_SHARE: String(simulation.unknownShare ?? 0),
    RETRY_SCHEDULE: schedule.map(formatDuration).join(','),
  };
}
