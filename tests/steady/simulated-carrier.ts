/** What the senders are told about their carrier, and what must become of the SMS therefore. */
import type { SimulationSettings } from '../../shared/domain/simulation/simulation.ts';
import { smsIdOf } from '../../shared/domain/sms/sms.ts';
import { fateOf } from '../../shared/pipeline/fate.ts';
import { carrierEnvironmentOf } from '../kit/process/predicted-carrier.ts';
import type { Outcomes } from './judge-steady.ts';

const SIMULATION: SimulationSettings = {
  ...{ seed: 1, meanProcessingMs: 50, distribution: 'exponential' },
  ...{ failureRate: 0.1, permanentFailureShare: 0.1 },
};
const CARRIER = { simulation: SIMULATION, schedule: [1_000, 2_000] };

export const CARRIER_ENVIRONMENT = carrierEnvironmentOf(CARRIER.simulation, CARRIER.schedule);

/** How the SMS of generated runs end: it follows from their ids. */
export function predictOutcomes(
  runs: readonly { readonly name: string; readonly smsCount: number }[],
): Outcomes {
  const outcomes = { sent: 0, failed: 0 };
  for (const { name, smsCount } of runs) {
    for (let smsNumber = 1; smsNumber <= smsCount; smsNumber += 1)
      outcomes[fateOf(CARRIER, smsIdOf(name, smsNumber)).status] += 1;
  }
  return outcomes;
}
