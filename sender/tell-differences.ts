import type { SenderSettings } from '../shared/domain/journal.ts';
import { describeDifferences } from '../shared/domain/sender-settings.ts';
import type { Clock, Logger } from '../shared/ports.ts';

// Settings travel through the journal: those of a sender that starts at the same moment are there a little later.
const LOOKS = 5;
const LOOK_EVERY_MS = 1_000;

/**
 * Says in one line where the schedule or the carrier of a sender that starts differ from those of senders that run.
 * With Redis away nothing is said, and nothing but this waits for it.
 */
export async function tellDifferences({
  settings,
  readOthers,
  clock,
  log,
  shutdown,
}: {
  readonly settings: SenderSettings;
  /** The settings of the other senders that live. */
  readonly readOthers: () => Promise<readonly object[]>;
  readonly clock: Clock;
  readonly log: Logger;
  readonly shutdown: AbortSignal;
}): Promise<void> {
  for (let look = 1; !shutdown.aborted; look += 1) {
    const others = await readOthers().catch(() => []);
    const differences = describeDifferences(settings, others);
    if (differences !== undefined)
      return log.warn(
        {},
        `other settings than senders that run already: ${differences}; what becomes of an SMS depends on which of them takes it`,
      );
    if (look === LOOKS) return;
    await pause(clock, LOOK_EVERY_MS, shutdown);
  }
}

function pause(clock: Clock, durationMs: number, shutdown: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      cancel();
      shutdown.removeEventListener('abort', end);
      resolve();
    };
    const cancel = clock.after(durationMs, end);
    shutdown.addEventListener('abort', end, { once: true });
    if (shutdown.aborted) end();
  });
}
