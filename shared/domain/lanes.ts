/**
 * The queues a sender takes SMS from, in the order of their right of way, and the fewest turns in ten that each
 * one gets while it has something waiting, so that nothing already handed to this sender grows old.
 */
export interface Lane {
  readonly routingKey: string;
  readonly minTurnsInTen: number;
}

/** A retry that is due must not stand behind a backlog of fresh SMS, and the backlog must not starve. */
export const LANES: readonly Lane[] = [
  { routingKey: 'due', minTurnsInTen: 0 },
  { routingKey: 'work', minTurnsInTen: 1 },
];

/** For each lane, how many turns have gone to others while it was waiting. Starts as all zeros. */
export type LaneState = readonly number[];

/**
 * Picks the lane whose turn it is, among those with something waiting; undefined where none has.
 * A lane that is owed a turn (it waited 10 / minTurnsInTen − 1 turns) goes first, else the first in order.
 */
export function pickLane(
  lanes: readonly Lane[],
  state: LaneState,
  waitingCounts: readonly number[],
): { readonly laneIndex: number; readonly state: LaneState } | undefined {
  const hasWaiting = (index: number) => (waitingCounts[index] ?? 0) > 0;
  const owed = lanes.findIndex(
    (lane, index) =>
      hasWaiting(index) && lane.minTurnsInTen > 0 && (state[index] ?? 0) >= 10 / lane.minTurnsInTen - 1,
  );
  const laneIndex = owed >= 0 ? owed : lanes.findIndex((_, index) => hasWaiting(index));
  if (laneIndex < 0) return undefined;
  return {
    laneIndex,
    state: lanes.map((_, index) => (index === laneIndex || !hasWaiting(index) ? 0 : (state[index] ?? 0) + 1)),
  };
}
