/** A queue from which a sender takes SMS. */
export interface Lane {
  readonly routingKey: string;
  /** While something waits in the lane, it gets a turn after so many turns of others at the latest; 0: it has no such right. */
  readonly turnAfter: number;
  /** How many SMS of the lane a sender may hold beside those it is sending. */
  readonly maxAhead: number;
  /** Beside those it is sending, a sender holds as many SMS of the lane as it can begin within this time. */
  readonly aheadMs: number;
}

/**
 * All lanes, in the order of their right of way. Where all have something waiting, of twenty turns `high` gets about thirteen, `due`
 * four, `work` two and `low` one. A retry that is due must not stand behind a backlog of fresh SMS, and no backlog may starve.
 * A sender holds fewer fresh SMS than due ones: retries wait behind the fresh ones that are on their way, in RabbitMQ and on
 * the connection, and SMS that come out of a hold queue wait for up to 1.5 s in the sender.
 */
export const LANES: readonly Lane[] = [
  { routingKey: 'high', turnAfter: 0, maxAhead: 700, aheadMs: 250 },
  { routingKey: 'due', turnAfter: 4, maxAhead: 2_000, aheadMs: 1_500 },
  { routingKey: 'work', turnAfter: 9, maxAhead: 700, aheadMs: 250 },
  { routingKey: 'low', turnAfter: 19, maxAhead: 700, aheadMs: 250 },
];

/** Whose turn it is, turn after turn. */
export class LaneTurns {
  /** For each lane, how many turns went to other lanes while it had something waiting. */
  readonly #turnsMissed = LANES.map(() => 0);

  /**
   * Takes a turn. @returns the index of the lane whose turn it is, among those with something waiting; undefined where no lane
   * has. A lane that has missed `turnAfter` turns goes first, the last in order before the others; else the first lane in order.
   */
  take(waiting: readonly { readonly length: number }[]): number | undefined {
    const laneIndex = this.#next(waiting);
    if (laneIndex === undefined) return undefined;
    for (let index = 0; index < LANES.length; index += 1) {
      const isMissed = index !== laneIndex && hasWaiting(waiting, index);
      this.#turnsMissed[index] = isMissed ? (this.#turnsMissed[index] ?? 0) + 1 : 0;
    }
    return laneIndex;
  }

  // Plain loops, without arrays or functions of their own, because each SMS takes a turn.
  #next(waiting: readonly { readonly length: number }[]): number | undefined {
    let first: number | undefined;
    for (let index = LANES.length - 1; index >= 0; index -= 1) {
      if (!hasWaiting(waiting, index)) continue;
      const turnAfter = LANES[index]?.turnAfter ?? 0;
      if (turnAfter > 0 && (this.#turnsMissed[index] ?? 0) >= turnAfter) return index;
      first = index;
    }
    return first;
  }
}

function hasWaiting(waiting: readonly { readonly length: number }[], index: number): boolean {
  return (waiting[index]?.length ?? 0) > 0;
}
