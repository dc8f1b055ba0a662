/** Resolves when the deadline is over. */
export function endOf(deadline: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    deadline.addEventListener('abort', () => resolve(), { once: true });
    if (deadline.aborted) resolve();
  });
}
