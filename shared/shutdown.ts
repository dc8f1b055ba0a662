import type { Clock } from './ports.ts';
import { systemClock } from './system-clock.ts';

// A Ctrl-C reaches a child of npm twice: from the terminal, and handed on by npm.
const SAME_KEY_MS = 300;

/**
 * Turns the first SIGTERM, SIGINT or SIGHUP into an abort of the returned signal (its reason is the signal's name).
 * A second SIGTERM or SIGINT ends the process at once, as the system does with a process that catches nothing. A second
 * SIGHUP does not: a terminal that is closed tells it by itself and through its shell.
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

/** Resolves when the signal aborts, with its reason; at once if it already has. */
export function shutdownOf(signal: AbortSignal): Promise<string> {
  if (signal.aborted) return Promise.resolve(String(signal.reason));
  return new Promise((resolve) => {
    signal.addEventListener('abort', () => resolve(String(signal.reason)), { once: true });
  });
}
