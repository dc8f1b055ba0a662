/**
 * Faults of a part: the way of one process to a store, one prefix of S3, or one kind of operation. Everything else works,
 * and must go on.
 */
import type { Dice } from '../../../shared/rehearsal/dice.ts';
import type { Fate, ProcessLife } from '../../../shared/rehearsal/network.ts';
import type { StoreName, StoreTroubles } from '../../../shared/rehearsal/simulated-stores.ts';

/** What is wrong with a store, and for which processes. */
export interface Trouble {
  readonly atMs: number;
  /** Undefined: for good. */
  readonly durationMs: number | undefined;
  readonly store: StoreName;
  /** For one process, drawn among the living ones, or for all. */
  readonly isOfOneProcess: boolean;
  /** Undefined: all operations. */
  readonly operation: string | undefined;
  /** Only objects whose key begins with it. */
  readonly prefix: string;
  readonly manner: Extract<Fate, 'refused' | 'hanging' | 'reply lost' | 'denied'>;
}

/** A trouble from its beginning to its end. */
interface PresentTrouble {
  readonly trouble: Trouble;
  /** Undefined: all processes. */
  readonly victim: ProcessLife | undefined;
}

/** How long definite refusals of a put last before its journal messages are parked. */
export const PARKED_AFTER_MS = 60_000;
/** Silence after which a recorder may be taken for dead: 15 s of heartbeat, less one beat on its way. */
export const TAKEN_FOR_DEAD_AFTER_MS = 10_000;

const STORED_PREFIXES = ['success/', 'failed/', 'parked/', 'runs/'];
const S3_OPERATIONS = ['put', 'get', 'list'];
const REDIS_OPERATIONS = ['record', 'settle', 'restore', 'signalLife'];
const UNCLEAR_MANNERS = ['refused', 'hanging', 'reply lost'] as const;
const LATEST_MS = 8_000;
const LONGEST_MS = 200_000;

/** The troubles that are present now. */
export class Troubles implements StoreTroubles {
  readonly #present = new Set<PresentTrouble>();

  /** @returns what ends it */
  begin(trouble: Trouble, victim: ProcessLife | undefined): () => void {
    const present = { trouble, victim };
    this.#present.add(present);
    return () => this.#present.delete(present);
  }

  /** What becomes of a call because of them; undefined where none of them hits it. */
  fateOf(life: ProcessLife, store: StoreName, operation: string, key = ''): Fate | undefined {
    for (const { trouble, victim } of this.#present) {
      const isHit =
        trouble.store === store &&
        (victim === undefined || victim === life) &&
        (trouble.operation === undefined || trouble.operation === operation) &&
        key.startsWith(trouble.prefix);
      if (isHit) return trouble.manner;
    }
    return undefined;
  }
}

/** Where nothing else goes wrong: one process is sick, and the others are healthy all the time. */
export function drawTroubleOfOne(dice: Dice): Trouble {
  const draw = dice.oneOf([drawStoreOfOne, drawStoreOfOne, drawRefusedPrefix, drawOperation]);
  return { ...draw(dice), isOfOneProcess: true };
}

/** One or two of all kinds. */
export function drawTroubles(dice: Dice): Trouble[] {
  const kinds = [drawStoreOfOne, drawStoreOfOne, drawPrefix, drawRefusedPrefix, drawOperation];
  return Array.from({ length: dice.isHit(0.3) ? 2 : 1 }, () => dice.oneOf(kinds)(dice));
}

function drawStoreOfOne(dice: Dice): Trouble {
  const store = dice.isHit(0.6) ? 'S3' : 'Redis';
  const manners = store === 'S3' ? ([...UNCLEAR_MANNERS, 'denied'] as const) : UNCLEAR_MANNERS;
  return {
    ...drawTime(dice),
    store,
    isOfOneProcess: true,
    operation: undefined,
    prefix: '',
    manner: dice.oneOf(manners),
  };
}

function drawPrefix(dice: Dice): Trouble {
  return {
    ...drawTime(dice),
    store: 'S3',
    isOfOneProcess: false,
    operation: 'put',
    prefix: dice.oneOf(STORED_PREFIXES),
    manner: dice.oneOf(UNCLEAR_MANNERS),
  };
}

function drawRefusedPrefix(dice: Dice): Trouble {
  const { atMs, durationMs } = drawTime(dice);
  // Records of parked messages wait until S3 takes them, and a world ends only when nothing waits.
  const prefix = dice.oneOf(STORED_PREFIXES);
  return {
    atMs,
    durationMs: prefix === 'parked/' || dice.isHit(0.5) ? durationMs : undefined,
    store: 'S3',
    isOfOneProcess: dice.isHit(0.4),
    operation: 'put',
    prefix,
    manner: 'denied',
  };
}

function drawOperation(dice: Dice): Trouble {
  const store = dice.isHit(0.5) ? 'S3' : 'Redis';
  return {
    ...drawTime(dice),
    store,
    isOfOneProcess: dice.isHit(0.5),
    operation: dice.oneOf(store === 'S3' ? S3_OPERATIONS : REDIS_OPERATIONS),
    prefix: '',
    manner: dice.oneOf(UNCLEAR_MANNERS),
  };
}

function drawTime(dice: Dice): { readonly atMs: number; readonly durationMs: number } {
  const largestMs = dice.oneOf([TAKEN_FOR_DEAD_AFTER_MS, PARKED_AFTER_MS, LONGEST_MS, LONGEST_MS]);
  return { atMs: dice.below(LATEST_MS), durationMs: dice.between(500, largestMs) };
}
