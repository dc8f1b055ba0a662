import { microsecondOf, timeOf } from '../iso-time.ts';
import { type AttemptRecord, boundedMs, hasFailed, isUnclear } from './attempt.ts';

/** Eight digits of base 36: in microseconds they tell a start from all others within 32 days. */
const STARTS = 36 ** 8;

/** `number:start:tookMs:lateMs:s, f or u`; the start in base 36 tells two executions of one attempt apart. */
export function tokenOf(record: AttemptRecord): string {
  const { attempt, startedAt, tookMs, lateMs } = record;
  const start = startOf(startedAt).toString(36);
  const late = lateMs === undefined ? '' : boundedMs(lateMs);
  return `${attempt}:${start}:${boundedMs(tookMs)}:${late}:${letterOf(record)}`;
}

/** `s` sent, `f` failed, `u` failed without a clear answer. */
function letterOf(record: AttemptRecord): string {
  if (isUnclear(record)) return 'u';
  return hasFailed(record) ? 'f' : 's';
}

/** In milliseconds, as older versions tell it. In microseconds where the record tells them. */
function startOf(startedAt: string): number {
  const startMs = Math.max(0, timeOf(startedAt));
  const microsecond = microsecondOf(startedAt);
  return microsecond === 0 ? startMs : (startMs * 1_000 + microsecond) % STARTS;
}

/** The attempts of one SMS as the scripts know them. */
export function tokensOf(attempts: readonly AttemptRecord[]): string {
  return attempts.map(tokenOf).join(',');
}
