import type { Clock } from '../ports/clock.ts';
import { systemClock } from './system-clock.ts';

// One Ctrl-C reaches a child of npm twice: the terminal sends it, and npm hands it on.
const SAME_KEY_MS = 300;

/**
 * Turns the first SIGTERM, SIGINT or SIGHUP into an abort of the returned AbortSignal, with the name of the signal as reason.
 * A second SIGTERM or SIGINT ends the process at once, as the system does with a process that catches no signals. A second
 * SIGHUP does not: a terminal that is closed sends one, and its shell sends another.
 */
export function listenForShutdown(clock: Pick<Clock, 'nowMs'> = systemClock): AbortSignal {
  const controller = new AbortController();
  let firstAtMs = 0;
  for (const name of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
    process.on(name, () => {
      const nowMs = clock.nowMs();
      if (!controller.signal.aborted) {
        firstAtMs = nowMs;
        return controller.abort(name);
      }
      if (name === 'SIGHUP' || Math.abs(nowMs - firstAtMs) < SAME_KEY_MS) return;
      process.removeAllListeners(name);
      process.kill(process.pid, name);
    });
  }
  return controller.signal;
}
