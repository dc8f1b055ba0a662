import type { StartMarks } from '../../../shared/ports/start-marks.ts';

/** Marks that outlive a sender, as long as the test lives. */
export class MemoryStartMarks implements StartMarks {
  readonly starts = new Map<string, number>();
  isAway = false;

  async unendedStarts(smsId: string): Promise<number> {
    this.#requireMe();
    return this.starts.get(smsId) ?? 0;
  }

  async begin(smsId: string): Promise<void> {
    this.#requireMe();
    this.starts.set(smsId, (this.starts.get(smsId) ?? 0) + 1);
  }

  async end(smsId: string): Promise<void> {
    this.#requireMe();
    this.starts.delete(smsId);
  }

  #requireMe(): void {
    if (this.isAway) throw new Error('the marks are away');
  }
}
