import type { HistorySample } from '../../domain/history.ts';

/** Keeps the last hour of samples, for all monitors of a pipeline together. */
export interface HistoryStore {
  /** Keeps the sample where the newest one is old enough. @returns whether it was kept @throws ServerUnavailableError */
  keep(sample: HistorySample): Promise<boolean>;
  /** The oldest first. @throws ServerUnavailableError */
  read(): Promise<HistorySample[]>;
}
