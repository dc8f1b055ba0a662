import type { Sms } from '../../../shared/domain/sms/sms.ts';
import type { Directives } from '../../../shared/pipeline/attempt/directives.ts';
import type { PlannedDirective } from './wishes.ts';

/** Directives that all processes of a world know at once. */
export class ToldDirectives implements Directives {
  readonly #cancelled = new Set<string>();
  readonly #sentNow = new Set<string>();

  tell({ smsId, sentNowAttempt }: PlannedDirective): void {
    if (sentNowAttempt === undefined) this.#cancelled.add(smsId);
    else this.#sentNow.add(`${smsId} ${sentNowAttempt}`);
  }

  isCancelled({ id }: Sms): boolean {
    return this.#cancelled.has(id);
  }

  isSentNow(smsId: string, attempt: number): boolean {
    return this.#sentNow.has(`${smsId} ${attempt}`);
  }
}
