import type { Sms } from '../../domain/sms/sms.ts';

/** What people have decided about single SMS while these waited. The answers come from memory: the way of an SMS asks nobody. */
export interface Directives {
  /** No attempt may be made any more. */
  isCancelled(sms: Sms): boolean;
  /** This attempt does not wait for its time. */
  isSentNow(smsId: string, attempt: number): boolean;
}

export const NO_DIRECTIVES: Directives = { isCancelled: () => false, isSentNow: () => false };
