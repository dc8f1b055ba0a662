/** The settings that a sender works with. It writes them into the journal when it starts. */
export interface SenderSettings {
  readonly meanProcessingSeconds: number;
  readonly processingTimeDistribution: string;
  readonly failureRate: number;
  readonly permanentFailureShare: number;
  readonly unknownShare?: number;
  /** SMS per second, over all senders; 0: without bound. */
  readonly carrierCapacity?: number;
  readonly retrySchedule: string;
  readonly retryAnchor?: string;
  /** Empty: at any time. */
  readonly sendingWindow?: string;
  readonly unknownResult?: string;
  readonly concurrency: number;
  readonly seed: number;
}

/** The settings that decide what becomes of an SMS. All senders of a pipeline should have the same. */
const DECIDING = {
  retrySchedule: 'RETRY_SCHEDULE',
  retryAnchor: 'RETRY_ANCHOR',
  sendingWindow: 'SENDING_WINDOW',
  unknownResult: 'UNKNOWN_RESULT',
  unknownShare: 'UNKNOWN_SHARE',
  carrierCapacity: 'CARRIER_CAPACITY',
  failureRate: 'FAILURE_RATE',
  permanentFailureShare: 'PERMANENT_FAILURE_SHARE',
  meanProcessingSeconds: 'MEAN_PROCESSING_TIME',
  processingTimeDistribution: 'PROCESSING_TIME_DISTRIBUTION',
  seed: 'RANDOM_SEED',
} as const;

const MAX_VALUE_CHARACTERS = 80;

/**
 * How the schedule and the carrier of a sender differ from those of other senders: `FAILURE_RATE 0.1 (others: 0.2)`.
 * Undefined where nothing differs. A setting that another sender does not tell, or tells as another type, is no difference:
 * that sender is of another version.
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
