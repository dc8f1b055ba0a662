import { setTimeout as sleep } from 'node:timers/promises';

/** Waits for a condition, with a deadline that says what was missing. */
export async function waitFor(
  what: string,
  isMet: () => boolean | Promise<boolean>,
  deadlineMs = 60_000,
  lastSeen: () => string = () => 'nothing',
  pollMs = 100,
): Promise<void> {
  const giveUpAtMs = Date.now() + deadlineMs;
  while (!(await isMet())) {
    if (Date.now() > giveUpAtMs)
      throw new Error(`waited ${deadlineMs / 1_000} s for ${what}; last seen: ${lastSeen()}`);
    await sleep(pollMs);
  }
}
