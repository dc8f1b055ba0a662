/** Numbers as people read them; a hyphen where nothing is known. */
const UNKNOWN = '-';

/** `1,180` */
export function grouped(value: number | null): string {
  return value === null ? UNKNOWN : value.toLocaleString('en-US');
}

/** `1180` */
export function plain(value: number | null): string {
  return value === null ? UNKNOWN : String(value);
}

/** `95.2`, and without the fraction from 1,000 on. */
export function perSecond(value: number | null): string {
  if (value === null) return UNKNOWN;
  return value < 1_000 ? value.toFixed(1) : value.toFixed(0);
}

/** A share as percent, without the sign: `21.2` */
export function percent(share: number | null): string {
  return share === null ? UNKNOWN : (share * 100).toFixed(1);
}

/** A time in four characters where that is possible, with its unit: `31ms`, `.35s`, `2.3s`, `36s`, `250s` */
export function shortTime(seconds: number | null): string {
  if (seconds === null) return UNKNOWN;
  if (seconds < 0.0995) return `${Math.round(seconds * 1_000)}ms`;
  if (seconds < 0.995) return `${seconds.toFixed(2).slice(1)}s`;
  return `${seconds.toFixed(seconds < 9.95 ? 1 : 0)}s`;
}

/** Seconds, or milliseconds where they are few: `31ms`, `0.35`, `12.3`, `250` */
export function seconds(value: number | null): string {
  if (value === null) return UNKNOWN;
  if (value < 0.1) return `${Math.round(value * 1_000)}ms`;
  if (value < 10) return value.toFixed(2);
  return value < 100 ? value.toFixed(1) : value.toFixed(0);
}

/** `1 SMS`, `2 objects`: a count with its noun. */
export function counted(count: number, one: string, many: string): string {
  return `${grouped(count)} ${count === 1 ? one : many}`;
}
