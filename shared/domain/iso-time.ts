const SLOTS = 1_024;
const timesMs = new Float64Array(SLOTS).fill(Number.NaN);
const texts: string[] = Array.from({ length: SLOTS }, () => '');

/**
 * ISO 8601, milliseconds, UTC. The last texts are kept: an outcome tells three times, and thousands of SMS a second share
 * each of them. @throws RangeError for what is no time
 */
export function isoTime(timeMs: number): string {
  const slot = timeMs & (SLOTS - 1);
  if (timesMs[slot] !== timeMs) {
    texts[slot] = new Date(timeMs).toISOString();
    timesMs[slot] = timeMs;
  }
  return texts[slot] ?? '';
}
