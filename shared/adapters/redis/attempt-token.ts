import { type AttemptRecord, boundedMs, hasFailed } from '../../domain/attempt.ts';
import { timeOf } from '../../domain/iso-time.ts';

/** `number:start:tookMs:lateMs:s or f`; the start in base 36 tells two executions of one attempt apart. */
export function tokenOf(record: AttemptRecord): string {
  const { attempt, startedAt, tookMs, lateMs } = record;
  const start = Math.max(0, timeOf(startedAt)).toString(36);
  const late = lateMs === undefined ? '' : boundedMs(lateMs);
  return `${attempt}:${start}:${boundedMs(tookMs)}:${late}:${hasFailed(record) ? 'f' : 's'}`;
}

/** The attempts of one SMS as the scripts know them. */
export function tokensOf(attempts: readonly AttemptRecord[]): string {
  return attempts.map(tokenOf).join(',');
}
