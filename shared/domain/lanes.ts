/**
 * The queues a sender takes SMS from, in the order of their right of way, and the fewest turns in ten that each
 * one gets while it has something waiting, so that nothing already handed to this sender grows old.
 */
export interface Lane {
  readonly routingKey: string;
  readonly minTurnsInTen: number;
  /** SMS of it that a sender may hold beside those it is sending. */
  readonly maxAhead: number;
}

/**
 * A retry that is due must not stand behind a backlog of fresh SMS, and the backlog must not starve. Fewer fresh SMS are
 * held than due ones: what they are ahead of in RabbitMQ and on the connection are retries.
 */
export const LANES: readonly Lane[] = [
  { routingKey: 'due', minTurnsInTen: 0, maxAhead: 1_500 },
  { routingKey: 'work', minTurnsInTen: 1, maxAhead: 700 },
];

/** Whose turn it is, turn after turn. */
export class LaneTurns {
  readonly #lanes: readonly Lane[];
  /** For each lane, how many turns have gone to others while it was waiting. */
  readonly #turnsMissed: number[];

  constructor(lanes: readonly Lane[]) {
    this.#lanes = lanes;
    this.#turnsMissed = lanes.map(() => 0);
  }

  /**
   * Takes a turn: the index of the lane that has it, among those with something waiting; undefined where none has.
   * A lane that is owed a turn (it missed 10 / minTurnsInTen − 1 turns) goes first, else the first in order.
   */
  take(waiting: readonly { readonly length: number }[]): number | undefined {
    const laneIndex = this.#next(waiting);
    if (laneIndex === undefined) return undefined;
    for (let index = 0; index < this.#lanes.length; index += 1) {
      const isMissed = index !== laneIndex && hasWaiting(waiting, index);
      this.#turnsMissed[index] = isMissed ? (this.#turnsMissed[index] ?? 0) + 1 : 0;
    }
    return laneIndex;
  }

  // Loops without arrays or functions of their own: each SMS takes a turn.
  #next(waiting: readonly { readonly length: number }[]): number | undefined {
    let first: number | undefined;
    for (let index = 0; index < this.#lanes.length; index += 1) {
      if (!hasWaiting(waiting, index)) continue;
      const minTurnsInTen = this.#lanes[index]?.minTurnsInTen ?? 0;
      if (minTurnsInTen > 0 && (this.#turnsMissed[index] ?? 0) >= 10 / minTurnsInTen - 1) return index;
      first ??= index;
    }
    return first;
  }
}

function hasWaiting(waiting: readonly { readonly length: number }[], index: number): boolean {
  return (waiting[index]?.length ?? 0) > 0;
}
