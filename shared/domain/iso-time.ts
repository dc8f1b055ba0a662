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

let lastText = '';
let lastTimeMs = Number.NaN;

/**
 * Milliseconds since the epoch; NaN for what is no time. The last answer is kept: attempts that are recorded together began
 * together, and each is read twice: 12 instead of 129 ns, of the 26 µs that an SMS takes.
 */
export function timeOf(text: string): number {
  if (text !== lastText) [lastText, lastTimeMs] = [text, Date.parse(text)];
  return lastTimeMs;
}
