import { ServerUnavailableError } from '../../errors.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Repeat } from '../archive/patient-objects.ts';
import { pause } from '../waiting.ts';

const TRIES = 5;
const FIRST_PAUSE_MS = 250;

/**
 * Repeats what a store did not answer, four times within about four seconds: one 503 among thousands of objects
 * must not end an audit. What it refused is not repeated.
 */
export function repeatRead(clock: Clock): Repeat {
  return async (call) => {
    for (let tried = 1; ; tried += 1) {
      try {
        return await call();
      } catch (error) {
        const isWorthRepeating = error instanceof ServerUnavailableError && !error.isRefusal;
        if (!isWorthRepeating || tried >= TRIES) throw error;
        await pause(clock, FIRST_PAUSE_MS * 2 ** (tried - 1));
      }
    }
  };
}
