/** Numbers as lengths and heights, made of characters. */

const EIGHTHS_WIDE = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];
const EIGHTHS_HIGH = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/** A bar as long as the share of the width. What is more than nothing is seen. @param share from 0 to 1 */
export function barOf(share: number, width: number): string {
  if (width <= 0) return '';
  const steps = Math.max(share > 0 ? 1 : 0, Math.round(Math.min(share, 1) * width * 8));
  return '█'.repeat(Math.floor(steps / 8)) + (EIGHTHS_WIDE[steps % 8] ?? '');
}

/**
 * The newest values, one column each, the newest on the right. What is not known is a gap.
 * @param highest the value that fills the height. Default: the highest of those shown
 */
export function sparklineOf(values: readonly (number | null)[], width: number, highest?: number): string {
  const shown = width <= 0 ? [] : values.slice(-width);
  const top = highest ?? shown.reduce<number>((most, value) => Math.max(most, value ?? 0), 0);
  return shown.map((value) => EIGHTHS_HIGH[heightOf(value, top)] ?? ' ').join('');
}

/** Nothing is a line at the bottom, so that it differs from what is not known. */
function heightOf(value: number | null, top: number): number {
  if (value === null) return 0;
  if (top <= 0) return 1;
  return Math.max(1, Math.min(8, Math.round((value / top) * 8)));
}
