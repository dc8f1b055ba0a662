/**
 * Turns the first SIGTERM or SIGINT into an abort of the returned signal (its reason is the signal's name).
 * The second one ends the process at once, as the system does with a process that catches nothing.
 */
export function listenForShutdown(): AbortSignal {
  const controller = new AbortController();
  for (const name of ['SIGTERM', 'SIGINT'] as const) {
    process.on(name, () => {
      if (!controller.signal.aborted) return controller.abort(name);
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
