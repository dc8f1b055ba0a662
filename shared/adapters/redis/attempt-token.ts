import { type AttemptRecord, boundedMs } from '../../domain/attempt.ts';

/** `number:start:tookMs:lateMs:s or f`; the start in base 36 tells two executions of one attempt apart. */
export function tokenOf({ attempt, startedAt, tookMs, lateMs, result }: AttemptRecord): string {
  const start = Math.max(0, Date.parse(startedAt)).toString(36);
  const late = lateMs === undefined ? '' : boundedMs(lateMs);
  return `${attempt}:${start}:${boundedMs(tookMs)}:${late}:${result === 'failed' ? 'f' : 's'}`;
}

/** The attempts of one SMS as the scripts know them. */
export function tokensOf(attempts: readonly AttemptRecord[]): string {
  return attempts.map(tokenOf).join(',');
}
