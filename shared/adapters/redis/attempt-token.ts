import { type AttemptRecord, boundedMs, hasFailed } from '../../domain/attempt.ts';
import { microsecondOf, timeOf } from '../../domain/iso-time.ts';

/** Eight digits of base 36: in microseconds they tell a start from all others within 32 days. */
const STARTS = 36 ** 8;

/** `number:start:tookMs:lateMs:s or f`; the start in base 36 tells two executions of one attempt apart. */
export function tokenOf(record: AttemptRecord): string {
  const { attempt, startedAt, tookMs, lateMs } = record;
  const start = startOf(startedAt).toString(36);
  const late = lateMs === undefined ? '' : boundedMs(lateMs);
  return `${attempt}:${start}:${boundedMs(tookMs)}:${late}:${hasFailed(record) ? 'f' : 's'}`;
}

/** In milliseconds, as older versions tell it; in microseconds where it is told so precisely. */
function startOf(startedAt: string): number {
  const startMs = Math.max(0, timeOf(startedAt));
  const microsecond = microsecondOf(startedAt);
  return microsecond === 0 ? startMs : (startMs * 1_000 + microsecond) % STARTS;
}

/** The attempts of one SMS as the scripts know them. */
export function tokensOf(attempts: readonly AttemptRecord[]): string {
  return attempts.map(tokenOf).join(',');
}
