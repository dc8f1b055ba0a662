/** Numbers and times as people read them. What is not known is a dash. */

export const UNKNOWN = '–';

const WHOLE = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });
const TENTHS = new Intl.NumberFormat('en-US', { minimumFractionDigits: 1, maximumFractionDigits: 1 });

/** `1,180` @param {number | null | undefined} value */
export function count(value) {
  return value === null || value === undefined ? UNKNOWN : WHOLE.format(value);
}

/** `95.2`, and without the fraction from 100 on. @param {number | null | undefined} value */
export function rate(value) {
  if (value === null || value === undefined) return UNKNOWN;
  return value < 100 ? TENTHS.format(value) : WHOLE.format(value);
}

/** `31 ms`, `0.35 s`, `12 s`, `5 min`, `3 h` @param {number | null | undefined} seconds */
export function duration(seconds) {
  if (seconds === null || seconds === undefined) return UNKNOWN;
  if (seconds < 0.1) return `${Math.round(seconds * 1_000)} ms`;
  if (seconds < 10) return `${Number(seconds.toFixed(2))} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  return seconds < 7_200 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3_600)} h`;
}

/** `10:15:04`, of the reader's own time zone. @param {string | number} at */
export function timeOfDay(at) {
  return new Date(at).toTimeString().slice(0, 8);
}

/** With the day, where it is another one than that of `now`. @param {string} at @param {string | number} now */
export function moment(at, now) {
  const [one, other] = [new Date(at), new Date(now)];
  const day = one.toDateString() === other.toDateString() ? '' : `${at.slice(0, 10)} `;
  return `${day}${timeOfDay(at)}`;
}
