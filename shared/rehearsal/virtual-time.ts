import { setImmediate as letRun } from 'node:timers/promises';

/** The process that an event happens to. Nothing happens to a dead process, and events of a frozen one wait. */
export interface EventOwner {
  /** Takes the event over instead of letting it happen now. */
  intercepts(event: VirtualEvent): boolean;
}

export interface VirtualEvent {
  readonly dueMs: number;
  /** Events of one moment happen in the order they were made. */
  readonly order: number;
  readonly callback: () => void;
  readonly owner: EventOwner | undefined;
  isCancelled: boolean;
}

/** A clock that jumps from event to event, in whole milliseconds. */
export class VirtualTime {
  /** A heap: each event is no later than the two at twice its place. */
  readonly #events: VirtualEvent[] = [];
  #nowMs = 0;
  #order = 0;

  /** Milliseconds since the world began. */
  get nowMs(): number {
    return this.#nowMs;
  }

  at(delayMs: number, callback: () => void, owner?: EventOwner): VirtualEvent {
    this.#order += 1;
    const dueMs = this.#nowMs + Math.max(0, Math.ceil(delayMs));
    const event = { dueMs, order: this.#order, callback, owner, isCancelled: false };
    this.#rise(event);
    return event;
  }

  /** Lets events happen, each with what follows from it, until it is over or no event is left. */
  async run(isOver: () => boolean): Promise<void> {
    await letRun();
    while (!isOver()) {
      const event = this.#takeFirst();
      if (event === undefined) return;
      this.#nowMs = event.dueMs;
      if (event.isCancelled || event.owner?.intercepts(event)) continue;
      event.callback();
      // All code runs that waits for promises only. An event inside the broker or a store has no owner: no process runs before the answer reaches it.
      if (event.owner !== undefined) await letRun();
    }
  }

  #rise(event: VirtualEvent): void {
    const events = this.#events;
    let place = events.length;
    while (place > 0) {
      const parentPlace = (place - 1) >> 1;
      const parent = events[parentPlace];
      if (parent === undefined || !isBefore(event, parent)) break;
      events[place] = parent;
      place = parentPlace;
    }
    events[place] = event;
  }

  #takeFirst(): VirtualEvent | undefined {
    const [first] = this.#events;
    const last = this.#events.pop();
    if (last !== undefined && this.#events.length > 0) this.#sink(last);
    return first;
  }

  #sink(event: VirtualEvent): void {
    const events = this.#events;
    let place = 0;
    for (;;) {
      const [left, right] = [events[2 * place + 1], events[2 * place + 2]];
      if (left === undefined) break;
      const isRightFirst = right !== undefined && isBefore(right, left);
      const child = isRightFirst ? right : left;
      if (!isBefore(child, event)) break;
      events[place] = child;
      place = 2 * place + (isRightFirst ? 2 : 1);
    }
    events[place] = event;
  }
}

function isBefore(left: VirtualEvent, right: VirtualEvent): boolean {
  return left.dueMs === right.dueMs ? left.order < right.order : left.dueMs < right.dueMs;
}
