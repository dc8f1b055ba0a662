/**
 * When a run is over: every accepted SMS has its outcome, and RabbitMQ has none of it waiting. One look is not enough. A
 * producer announces once a second how many SMS are accepted, and what senders have met is counted through the journal: so
 * a run may have as many outcomes as accepted SMS while most of it is still to be counted.
 */
import type { Snapshot } from '../../shared/domain/snapshot.ts';
import { smsWaitingIn } from '../../shared/pipeline/readings/queue-depths.ts';

/** Two announcements. */
const COMPLETE_FOR_MS = 2_000;
/** Where SMS of other runs wait in the queues, so that the queues cannot tell. */
const COMPLETE_BESIDE_OTHERS_FOR_MS = 15_000;

export interface Completion {
  /** Since when every look has seen all outcomes, and as many accepted SMS. Undefined where the last one did not. */
  readonly sinceMs: number | undefined;
  readonly accepted: number | undefined;
  readonly isOver: boolean;
}

export const NOT_COMPLETE: Completion = { sinceMs: undefined, accepted: undefined, isOver: false };

/** The completion after one more look. */
export function afterLook(before: Completion, snapshot: Snapshot, nowMs: number): Completion {
  const { state, accepted, inProgress, run } = snapshot;
  const hasAll = state === 'ok' && accepted !== null && accepted > 0 && inProgress === 0;
  const areQueuesEmpty = isNothingWaiting(snapshot);
  if (!hasAll || (run === undefined && !areQueuesEmpty)) return NOT_COMPLETE;
  const sinceMs = before.accepted === accepted ? (before.sinceMs ?? nowMs) : nowMs;
  const needed = areQueuesEmpty ? COMPLETE_FOR_MS : COMPLETE_BESIDE_OTHERS_FOR_MS;
  return { sinceMs, accepted, isOver: nowMs - sinceMs >= needed };
}

/** The parked ones wait for people. What waits for a newer version may wait for ever. */
function isNothingWaiting({ queues }: Snapshot): boolean {
  return (
    queues.work !== null && smsWaitingIn(queues) === 0 && queues.journal === 0 && queues.deadLetters === 0
  );
}
