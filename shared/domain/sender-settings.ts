import type { SenderSettings } from './journal.ts';

/** The settings that decide what becomes of an SMS, so that all senders of a pipeline should have the same. */
const DECIDING = {
  retrySchedule: 'RETRY_SCHEDULE',
  failureRate: 'FAILURE_RATE',
  permanentFailureShare: 'PERMANENT_FAILURE_SHARE',
  meanProcessingSeconds: 'MEAN_PROCESSING_TIME',
  processingTimeDistribution: 'PROCESSING_TIME_DISTRIBUTION',
  seed: 'RANDOM_SEED',
} as const;

const MAX_VALUE_CHARACTERS = 80;

/**
 * How the schedule and the carrier of a sender differ from those of others: `FAILURE_RATE 0.1 (others: 0.2)`. Undefined
 * where nothing differs. A setting that another one does not tell, or tells as another type, is no difference: another
 * version wrote it.
 */
export function describeDifferences(own: SenderSettings, others: readonly object[]): string | undefined {
  const differences = Object.entries(DECIDING).flatMap(([key, name]) => {
    const ownValue = own[key as keyof typeof DECIDING];
    const values = others
      .map((other) => (other as Record<string, unknown>)[key])
      .filter((value) => typeof value === typeof ownValue && value !== ownValue)
      .map((value) => bounded(String(value)));
    const different = [...new Set(values)];
    return different.length === 0 ? [] : [`${name} ${ownValue} (others: ${different.join(', ')})`];
  });
  return differences.length === 0 ? undefined : differences.join(', ');
}

function bounded(text: string): string {
  return text.length <= MAX_VALUE_CHARACTERS ? text : `${text.slice(0, MAX_VALUE_CHARACTERS)}…`;
}
