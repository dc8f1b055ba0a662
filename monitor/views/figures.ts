/** Numbers and rows as people read them; a hyphen where nothing is known. */
import { formatCount } from '../../shared/domain/format-count.ts';
import type { Snapshot } from '../../shared/domain/snapshot.ts';

const UNKNOWN = '-';

/** `1,180` */
export function grouped(value: number | null): string {
  return value === null ? UNKNOWN : formatCount(value);
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

type Books = Pick<Snapshot, 'accepted' | 'sent' | 'failed' | 'parked' | 'known' | 'inProgress'>;

/** `1,000 accepted = 930 sent + 12 failed + 0 parked + 0 known + 58 in progress` */
export function sumOf(books: Books, isKnownShown: boolean): string {
  const { accepted, sent, failed, parked, known, inProgress } = books;
  return (
    `${grouped(accepted)} accepted = ${grouped(sent)} sent + ${grouped(failed)} failed + ${grouped(parked)} parked + ` +
    `${isKnownShown ? `${grouped(known)} known + ` : ''}${grouped(inProgress)} in progress`
  );
}

export type Row = readonly [label: string, text: string];

export function alignedRows(rows: readonly Row[]): string[] {
  const width = Math.max(...rows.map(([label]) => label.length));
  return rows.map(([label, text]) => `  ${label.padEnd(width)}  ${text}`);
}
