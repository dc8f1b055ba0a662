import { FOREIGN_RUN } from '../../domain/sms.ts';

/**
 * The run that an id tells: what stands before its last hyphen where at most nine digits follow, as in generated ids, else
 * that of foreign clients. Where it is the run of the SMS, Redis keeps no run of it. `runOf` in scripts.ts does the same.
 */
export function runToldBy(smsId: string): string {
  return /^(.*)-\d{1,9}$/.exec(smsId)?.[1] ?? FOREIGN_RUN;
}
