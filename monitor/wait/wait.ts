import type { Snapshot } from '../../shared/domain/snapshot.ts';
import type { Clock } from '../../shared/ports/clock.ts';
import { watch } from '../views/watch.ts';
import { afterLook, NOT_COMPLETE } from './completion.ts';

const LOOK_EVERY_MS = 500;

/**
 * Looks until every accepted SMS has its outcome. @returns the last snapshot; undefined where the signal came first
 * @param onLook is told of each look
 */
export async function waitForOutcomes(
  clock: Clock,
  shutdown: AbortSignal,
  look: () => Promise<Snapshot>,
  onLook: (snapshot: Snapshot) => void,
): Promise<Snapshot | undefined> {
  const done = new AbortController();
  let completion = NOT_COMPLETE;
  let last: Snapshot | undefined;
  await watch(clock, LOOK_EVERY_MS, AbortSignal.any([shutdown, done.signal]), async () => {
    const snapshot = await look();
    if (shutdown.aborted) return;
    last = snapshot;
    onLook(snapshot);
    completion = afterLook(completion, snapshot, clock.nowMs());
    if (completion.isOver) done.abort();
  });
  return completion.isOver ? last : undefined;
}
