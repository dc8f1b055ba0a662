import { parseDuration } from './duration.ts';

/** What is wrong with a text that should be a moment: the end of a sentence. */
export type MomentProblem =
  | 'is not a time (write 2026-12-01T09:00:00+01:00, or a duration from now such as 10m)'
  | 'has no offset from UTC (write Z or an offset such as +01:00 at its end)'
  | 'names a date or a time of day that does not exist'
  | 'is more than 366 days ahead';

/** Nothing is planned for a moment that is further ahead: whoever asks for one has probably written another year. */
export const MAX_AHEAD_MS = 366 * 86_400_000;

// RFC 3339 lets a client write a blank or a small t and z: https://www.rfc-editor.org/rfc/rfc3339#section-5.6
const DATE_TIME =
  /^(\d{4}-\d\d-\d\d)[Tt ]([01]\d|2[0-3]):([0-5]\d):([0-5]\d|60)(?:\.(\d{1,20}))?([Zz]|[+-]([01]\d|2[0-3]):[0-5]\d)?$/;
const LOOKS_LIKE_DATE_TIME = /^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,20})?([Zz]|[+-]\d\d:\d\d)?$/;

/**
 * Reads a moment in milliseconds since the epoch: RFC 3339 with an offset (`2026-12-01T09:00:00+01:00`), or a duration from now
 * (`10m`). A moment in the past is one, too. A fraction of a millisecond counts as a whole one, so that nothing comes early.
 */
export function parseMoment(
  text: string,
  nowMs: number,
): { readonly momentMs: number } | { readonly problem: MomentProblem } {
  const durationMs = parseDuration(text);
  const momentMs = durationMs === undefined ? parseDateTime(text) : nowMs + durationMs;
  if (typeof momentMs === 'string') return { problem: momentMs };
  return momentMs > nowMs + MAX_AHEAD_MS ? { problem: 'is more than 366 days ahead' } : { momentMs };
}

function parseDateTime(text: string): number | MomentProblem {
  const match = DATE_TIME.exec(text);
  if (match === null) {
    if (LOOKS_LIKE_DATE_TIME.test(text)) return 'names a date or a time of day that does not exist';
    return 'is not a time (write 2026-12-01T09:00:00+01:00, or a duration from now such as 10m)';
  }
  const [, date = '', hour, minute, second, fraction = '', offset] = match;
  const midnightMs = Date.parse(`${date}T00:00:00Z`);
  // Date.parse reads February 30 as March 2.
  if (Number.isNaN(midnightMs) || new Date(midnightMs).toISOString().slice(0, 10) !== date)
    return 'names a date or a time of day that does not exist';
  if (offset === undefined) return 'has no offset from UTC (write Z or an offset such as +01:00 at its end)';
  const seconds = Number(hour) * 3_600 + Number(minute) * 60 + Number(second);
  return midnightMs + seconds * 1_000 + wholeMilliseconds(fraction) - offsetMs(offset);
}

function wholeMilliseconds(fraction: string): number {
  const isFiner = /[1-9]/.test(fraction.slice(3));
  return Number(fraction.slice(0, 3).padEnd(3, '0')) + (isFiner ? 1 : 0);
}

/** How far a clock with that offset is ahead of UTC. */
function offsetMs(offset: string): number {
  if (offset === 'Z' || offset === 'z') return 0;
  const minutes = Number(offset.slice(1, 3)) * 60 + Number(offset.slice(4));
  return (offset.startsWith('-') ? -minutes : minutes) * 60_000;
}
