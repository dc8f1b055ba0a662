import { describeDifferences, type SenderSettings } from '../../shared/domain/sender-settings.ts';
import { pause } from '../../shared/pipeline/waiting.ts';
import type { Clock } from '../../shared/ports/clock.ts';
import type { Logger } from '../../shared/ports/logger.ts';

// Settings travel through the journal: the settings of a sender that starts at the same moment arrive a little later.
const LOOKS = 5;
const LOOK_EVERY_MS = 1_000;

/**
 * Logs one line where the schedule or the carrier of this sender differs from that of senders that run already. While
 * Redis is away it logs nothing; nothing else waits for this. @param readOthers the settings of the others that live
 */
export async function tellDifferences(
  settings: SenderSettings,
  readOthers: () => Promise<readonly object[]>,
  clock: Clock,
  log: Logger,
  shutdown: AbortSignal,
): Promise<void> {
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
