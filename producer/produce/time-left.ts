/** How fast SMS are accepted, and how long the rest will take, as people read it. */
import { formatCount } from '../../shared/domain/format-count.ts';

/** So many were accepted at that moment. */
export interface CountAt {
  readonly count: number;
  readonly atMs: number;
}

/** Over which time a rate is measured: long enough for one SMS a second, short enough to follow a change. */
const RATE_WINDOW_MS = 10_000;
const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** The counts with a newer one, without those that the rate does not need. */
export function withCount(counts: readonly CountAt[], newest: CountAt): readonly CountAt[] {
  // Counts that seem to be of later moments are from before the clock was set back.
  const earlier = counts.filter(({ atMs }) => atMs < newest.atMs);
  const isNeeded = (_: CountAt, index: number) =>
    index === earlier.length - 1 || (earlier[index + 1]?.atMs ?? 0) > newest.atMs - RATE_WINDOW_MS;
  return [...earlier.filter(isNeeded), newest];
}

/** SMS per second over the counts. */
export function rateOf(counts: readonly CountAt[]): number {
  const [first, last] = [counts[0], counts.at(-1)];
  if (first === undefined || last === undefined || last.atMs <= first.atMs) return 0;
  return ((last.count - first.count) * 1_000) / (last.atMs - first.atMs);
}

/** `1,234`; below ten with a decimal: `0.3`. */
export function renderRate(smsPerSecond: number): string {
  if (smsPerSecond > 0 && smsPerSecond < 0.05) return '<0.1';
  const isSlow = smsPerSecond > 0 && smsPerSecond < 9.95;
  return isSlow ? smsPerSecond.toFixed(1) : formatCount(Math.round(smsPerSecond));
}

/** `7h 59m`, in two units at the most, rounded up; where nothing is accepted, that it is not known. */
export function renderTimeLeft(smsLeft: number, smsPerSecond: number): string {
  if (smsLeft <= 0) return '0s';
  if (!(smsPerSecond > 0)) return 'unknown time';
  const seconds = Math.ceil(smsLeft / smsPerSecond);
  if (seconds < MINUTE) return `${seconds}s`;
  if (seconds < HOUR) return inUnits(seconds, MINUTE, 'm', 1, 's');
  const minutes = Math.ceil(seconds / MINUTE) * MINUTE;
  if (minutes < DAY) return inUnits(minutes, HOUR, 'h', MINUTE, 'm');
  return inUnits(Math.ceil(seconds / HOUR) * HOUR, DAY, 'd', HOUR, 'h');
}

function inUnits(
  seconds: number,
  large: number,
  largeName: string,
  small: number,
  smallName: string,
): string {
  const rest = Math.round((seconds % large) / small);
  return `${formatCount(Math.floor(seconds / large))}${largeName} ${String(rest).padStart(2, '0')}${smallName}`;
}
