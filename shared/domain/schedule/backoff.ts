const MIN_PAUSE_MS = 100;
const USUAL_MAX_PAUSE_MS = 5_000;

/**
 * The pause in milliseconds before trying again: anywhere between nothing and a ceiling that doubles with each
 * try ("full jitter": those who failed together must not come back together).
 * @param tries failed tries so far, from 0 @param random uniform in [0, 1)
 */
export function fullJitterMs(tries: number, random: number, maxPauseMs = USUAL_MAX_PAUSE_MS): number {
  return random * Math.min(maxPauseMs, MIN_PAUSE_MS * 2 ** Math.min(tries, 20));
}
