import type { OverdueCount } from '../domain/schedule/overdue.ts';

/** Looks for overdue SMS at the head of retry and hold queues, and leaves everything where it is. */
export interface OverdueReader {
  /**
   * Tells what is overdue in each of the queues. A queue that does not exist is left out.
   * @throws ServerUnavailableError
   */
  read(waitingQueueNames: readonly string[]): Promise<ReadonlyMap<string, OverdueCount>>;
}
