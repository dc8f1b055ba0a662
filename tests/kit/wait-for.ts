import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Looks again and again until what is seen is enough. @returns what was seen then
 * @throws Error after the deadline, with what was missing and what was seen last
 */
export async function waitUntil<Seen>(
  what: string,
  look: () => Seen | Promise<Seen>,
  isEnough: (seen: Seen) => boolean,
  deadlineMs = 180_000,
  pollMs = 100,
  describe: (seen: Seen) => string = JSON.stringify,
): Promise<Seen> {
  const giveUpAtMs = Date.now() + deadlineMs;
  for (;;) {
    const seen = await look();
    if (isEnough(seen)) return seen;
    if (Date.now() > giveUpAtMs)
      throw new Error(`waited ${deadlineMs / 1_000} s for ${what}; last seen: ${describe(seen)}`);
    await sleep(pollMs);
  }
}

/** Waits for a condition. @throws as `waitUntil` */
export async function waitFor(
  what: string,
  isMet: () => boolean | Promise<boolean>,
  deadlineMs?: number,
  lastSeen: () => string = () => 'nothing',
  pollMs?: number,
): Promise<void> {
  await waitUntil(what, isMet, Boolean, deadlineMs, pollMs, lastSeen);
}
