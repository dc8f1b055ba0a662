import type { Dice } from './dice.ts';
import type { EventOwner, VirtualEvent, VirtualTime } from './virtual-time.ts';

/** What becomes of a call or a message on the way to a server. */
export type Fate = 'fine' | 'refused' | 'reply lost' | 'late' | 'denied' | 'hanging';

/** Probabilities of what goes wrong with a single call or message. */
export interface FaultRates {
  /** The message never arrives, and the publisher hears that it is unknown. */
  readonly publishLost: number;
  /** The message arrives, and the publisher hears that it is unknown. */
  readonly confirmLost: number;
  /** The call has no effect and is rejected. */
  readonly refused: number;
  /** The call has its effect and is rejected. */
  readonly replyLost: number;
  /** The call is rejected, and has its effect seconds later. */
  readonly late: number;
  /** A delivery takes a message from the middle of the queue. */
  readonly reordered: number;
  /** Dead-lettering, which is at least once, is twice. */
  readonly deadLetteredTwice: number;
}

export const NO_FAULTS: FaultRates = {
  publishLost: 0,
  confirmLost: 0,
  refused: 0,
  replyLost: 0,
  late: 0,
  reordered: 0,
  deadLetteredTwice: 0,
};

export interface NetworkConditions {
  /** The longest delay of a message or a call without faults, ms. */
  readonly maxTravelMs: number;
  /** The longest delay of a call that was given up and has its effect all the same, ms. */
  readonly maxLateMs: number;
  readonly rates: FaultRates;
}

const CRASH_LOSES = 0.5;
const SIGNS_OF_LIFE = new Set(['signalLife', 'tidy']);
// The longest time-out of the adapters.
const HANGING_MS = 20_000;

/** The network between processes and servers: it carries, delays and loses messages and calls. */
export class Network {
  readonly time: VirtualTime;
  readonly dice: Dice;
  readonly maxTravelMs: number;
  readonly maxLateMs: number;
  readonly trace: (line: () => string) => void;
  rates: FaultRates;
  /** Messages and calls that have been sent off and have not arrived. */
  onTheirWayCount = 0;

  constructor(
    time: VirtualTime,
    dice: Dice,
    { maxTravelMs, maxLateMs, rates }: NetworkConditions,
    trace: (line: () => string) => void,
  ) {
    this.time = time;
    this.dice = dice;
    this.maxTravelMs = maxTravelMs;
    this.maxLateMs = maxLateMs;
    this.rates = rates;
    this.trace = trace;
  }

  heal(): void {
    this.rates = NO_FAULTS;
  }

  travelMs(): number {
    return this.dice.between(0, this.maxTravelMs);
  }

  publishFate(): Fate {
    const { publishLost, confirmLost, late } = this.rates;
    return this.#drawFate(publishLost, confirmLost, late);
  }

  storeFate(): Fate {
    const { refused, replyLost, late } = this.rates;
    return this.#drawFate(refused, replyLost, late);
  }

  #drawFate(refused: number, replyLost: number, late: number): Fate {
    const roll = this.dice.roll();
    if (roll < refused) return 'refused';
    if (roll < refused + replyLost) return 'reply lost';
    return roll < refused + replyLost + late ? 'late' : 'fine';
  }
}

/**
 * The life of one process as the outside sees it. What the process does goes out over `travels`; what happens to the
 * process comes in over `hears`. A dead process hears nothing. What a crashed process had sent off arrives or is lost.
 */
export class ProcessLife implements EventOwner {
  readonly id: string;
  readonly network: Network;
  isDead = false;
  hasCrashed = false;
  isFrozen = false;
  onDeath: () => void = () => {};
  /** The number of the call in which it dies. */
  diesAtCall: number | undefined;
  #callCount = 0;
  #deferred: VirtualEvent[] = [];
  /** What was sent off, and for how much it counts in `onTheirWayCount`. */
  readonly #onTheirWay = new Map<VirtualEvent, number>();

  constructor(id: string, network: Network) {
    this.id = id;
    this.network = network;
  }

  intercepts(event: VirtualEvent): boolean {
    if (this.isDead) return true;
    if (this.isFrozen) this.#deferred.push(event);
    return this.isFrozen;
  }

  hears(delayMs: number, callback: () => void): VirtualEvent {
    return this.network.time.at(delayMs, callback, this);
  }

  travels(delayMs: number, arrive: () => void, count = 1): void {
    this.network.onTheirWayCount += count;
    const event = this.network.time.at(delayMs, () => {
      this.network.onTheirWayCount -= count;
      this.#onTheirWay.delete(event);
      arrive();
    });
    this.#onTheirWay.set(event, count);
  }

  /** A call that is answered. @param fail the error where it is not told what became of it */
  call<Value>(name: string, fate: Fate, carryOut: () => Value, fail: () => Error): Promise<Value> {
    if (this.isDead) return new Promise(() => {});
    this.#callCount += 1;
    const callCount = this.#callCount;
    this.network.trace(() => `${this.id} #${callCount} ${name}${fate === 'fine' ? '' : `: ${fate}`}`);
    const answer = this.#send(name, fate, carryOut, fail);
    if (callCount === this.diesAtCall) this.crash();
    return answer;
  }

  #send<Value>(name: string, fate: Fate, carryOut: () => Value, fail: () => Error): Promise<Value> {
    const { network } = this;
    const [thereMs, backMs] = [network.travelMs(), network.travelMs()];
    // Signs of life do not count: on a slow network one is always on its way, and the world would never be quiet.
    const count = SIGNS_OF_LIFE.has(name) ? 0 : 1;
    return new Promise((resolve, reject) => {
      const arrive = () => {
        const said = outcomeOf(carryOut);
        const isTold = fate === 'fine';
        this.hears(backMs, () => {
          if (!isTold) reject(fail());
          else if ('error' in said) reject(said.error);
          else resolve(said.value);
        });
      };
      if (fate === 'refused' || fate === 'denied' || fate === 'late')
        this.hears(thereMs + backMs, () => reject(fail()));
      if (fate === 'hanging') this.hears(HANGING_MS, () => reject(fail()));
      if (fate === 'late')
        this.travels(
          thereMs + network.dice.between(100, network.maxLateMs),
          () => outcomeOf(carryOut),
          count,
        );
      else if (fate === 'fine' || fate === 'reply lost') this.travels(thereMs, arrive, count);
    });
  }

  crash(): void {
    if (this.isDead) return;
    this.hasCrashed = true;
    this.network.trace(() => `${this.id} crashes`);
    for (const [event, count] of this.#onTheirWay) {
      if (!this.network.dice.isHit(CRASH_LOSES)) continue;
      event.isCancelled = true;
      this.network.onTheirWayCount -= count;
    }
    this.end();
  }

  /** The process ends in order: what it has sent off arrives. */
  end(): void {
    this.isDead = true;
    this.#deferred = [];
    this.onDeath();
  }

  freeze(): void {
    this.isFrozen = true;
  }

  thaw(): void {
    this.isFrozen = false;
    const deferred = this.#deferred;
    this.#deferred = [];
    for (const event of deferred) {
      // Cancelled while it waited: a timer that was cleared.
      this.network.time.at(0, () => event.isCancelled || event.callback(), this);
    }
  }
}

function outcomeOf<Value>(run: () => Value): { readonly value: Value } | { readonly error: unknown } {
  try {
    return { value: run() };
  } catch (error) {
    return { error };
  }
}
