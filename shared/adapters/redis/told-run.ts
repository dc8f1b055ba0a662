import { FOREIGN_RUN } from '../../domain/sms.ts';

const MAX_DIGITS = 9;
const [ZERO, NINE] = [0x30, 0x39];

/**
 * The run that an id tells: what stands before its last hyphen where at most nine digits follow, as in generated ids, else
 * that of foreign clients. Where it is the run of the SMS, Redis keeps no run of it. `runOf` in scripts.ts does the same.
 */
// No pattern: what it finds takes 150 bytes for each SMS that is settled.
export function runToldBy(smsId: string): string {
  const hyphenAt = smsId.lastIndexOf('-');
  const digitCount = smsId.length - hyphenAt - 1;
  if (hyphenAt < 0 || digitCount < 1 || digitCount > MAX_DIGITS) return FOREIGN_RUN;
  for (let at = hyphenAt + 1; at < smsId.length; at += 1)
    if (!isDigit(smsId.charCodeAt(at))) return FOREIGN_RUN;
  return smsId.slice(0, hyphenAt);
}

function isDigit(code: number): boolean {
  return code >= ZERO && code <= NINE;
}
