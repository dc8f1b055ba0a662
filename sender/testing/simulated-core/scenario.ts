/** What happens in the world of a seed: the SMS, the settings and the faults, all drawn before it begins. */
import type { RetrySchedule } from '../../../shared/domain/retry-schedule.ts';
import type { SimulationSettings } from '../../../shared/domain/simulation.ts';
import { smsIdOf } from '../../../shared/domain/sms.ts';
import { Dice } from '../../../shared/testing/dice.ts';
import { drawTroubleOfOne, drawTroubles, type Trouble } from './troubles.ts';

/** A message a producer publishes. */
export interface PlannedSms {
  readonly id: string;
  readonly run: string;
  readonly text: string;
  readonly atMs: number;
}

export interface PlannedJunk {
  readonly atMs: number;
  readonly body: string;
  readonly messageId: string | undefined;
}

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

/** An intervention at a moment; whom it hits is drawn among those who live. */
export type Intervention =
  | { readonly kind: 'crash' }
  | { readonly kind: 'freeze'; readonly durationMs: number; readonly losesChannels: boolean }
  | { readonly kind: 'drain'; readonly timeoutMs: number }
  | { readonly kind: 'break channels' }
  | { readonly kind: 'lose Redis'; readonly isRestart: boolean }
  | { readonly kind: 'outage'; readonly store: 'S3' | 'Redis'; readonly durationMs: number }
  | { readonly kind: 'step clock'; readonly byMs: number }
  | { readonly kind: 'start process' };

export interface ProcessSettings {
  readonly concurrency: number;
  readonly prefetchCount: number;
  readonly journalBytes: number;
  readonly windowSize: number;
  readonly batchSize: number;
  readonly batchMs: number;
}

export interface Scenario {
  readonly seed: number;
  readonly schedule: RetrySchedule;
  readonly simulation: SimulationSettings;
  readonly processCount: number;
  readonly process: ProcessSettings;
  readonly sms: readonly PlannedSms[];
  readonly junk: readonly PlannedJunk[];
  /** Largest delay of a message or a call without faults. */
  readonly maxTravelMs: number;
  /** Largest delay of a call that was given up and has its effect all the same. */
  readonly maxLateMs: number;
  readonly rates: FaultRates;
  readonly interventions: readonly { readonly atMs: number; readonly what: Intervention }[];
  readonly troubles: readonly Trouble[];
  /** When a journal message comes that looks readable and cannot be recorded. */
  readonly poisonAtMs: readonly number[];
  /** Processes die at the call with that number, one after the other. */
  readonly deathsAtCall: readonly number[];
  /** When faults end, everybody thaws, and somebody lives. */
  readonly healAtMs: number;
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

const WAITS_MS = [500, 1_000, 2_000, 5_000, 10_000];
const WORKLOAD_MS = 5_000;

export function describeScenario(seed: number): Scenario {
  const dice = new Dice(seed * 2_654_435_761);
  const isFaultFree = dice.isHit(0.15);
  // Dice of their own: a world without troubles stays the one it was before there were any.
  const troubles = drawTroublesOf(new Dice(seed * 2_246_822_519), isFaultFree);
  const horizonMs = dice.pick([6_000, 12_000, 40_000]) ?? 6_000;
  // In some worlds much goes wrong at once: what is exact under one fault may not be under three.
  const intensity = dice.isHit(0.3) ? 2.5 : 1;
  const faults = isFaultFree
    ? { rates: NO_FAULTS, interventions: [], deathsAtCall: [] }
    : drawFaults(dice, horizonMs, intensity);
  return {
    seed,
    schedule: Array.from({ length: dice.below(4) }, () => dice.pick(WAITS_MS) ?? 500),
    simulation: {
      seed,
      meanProcessingMs: dice.pick([0, 20, 200, 1_000]) ?? 0,
      distribution: dice.pick(['exponential', 'constant'] as const) ?? 'constant',
      failureRate: dice.pick([0.1, 0.5, 0.9]) ?? 0.5,
      permanentFailureShare: dice.pick([0, 0.2]) ?? 0,
    },
    processCount: Math.max(dice.between(1, 3), isFaultFree && troubles.length > 0 ? 2 : 1),
    process: {
      concurrency: dice.between(1, 4),
      prefetchCount: dice.between(1, 6),
      journalBytes: dice.pick([400, 1_500, 10_000]) ?? 400,
      windowSize: dice.between(1, 6),
      batchSize: dice.between(1, 5),
      batchMs: dice.pick([300, 1_000, 4_000]) ?? 300,
    },
    ...drawWorkload(dice, intensity),
    maxTravelMs: dice.pick([3, 20, 150, 1_000]) ?? 3,
    maxLateMs: dice.pick([1_000, 4_000, 30_000]) ?? 1_000,
    ...faults,
    troubles,
    poisonAtMs: drawPoison(new Dice(seed * 3_266_489_917), isFaultFree),
    healAtMs: isFaultFree && troubles.length === 0 ? 0 : horizonMs,
  };
}

function drawTroublesOf(dice: Dice, isFaultFree: boolean): Trouble[] {
  if (isFaultFree) return dice.isHit(0.7) ? [drawTroubleOfOne(dice)] : [];
  return dice.isHit(0.25) ? drawTroubles(dice) : [];
}

function drawPoison(dice: Dice, isFaultFree: boolean): number[] {
  if (isFaultFree || !dice.isHit(0.05)) return [];
  return Array.from({ length: dice.between(1, 2) }, () => dice.below(WORKLOAD_MS));
}

function drawWorkload(dice: Dice, intensity: number): Pick<Scenario, 'sms' | 'junk'> {
  const runs = ['demo', 'other'].slice(0, dice.between(1, 2));
  const sms = Array.from({ length: dice.between(3, 10) }, (_, index): PlannedSms => {
    const run = dice.pick(runs) ?? 'demo';
    return { id: smsIdOf(run, index + 1), run, text: 'hello', atMs: dice.below(WORKLOAD_MS) };
  });
  // The same SMS from a producer that was killed and started again, seldom with another text.
  const again = dice.isHit(0.25 * intensity) ? sms.filter(() => dice.isHit(0.3 * intensity)) : [];
  const doubles = again.map(
    (each): PlannedSms => ({
      ...each,
      text: dice.isHit(0.2) ? 'bye' : each.text,
      atMs: dice.isHit(0.5) ? each.atMs + dice.below(1_000) : dice.below(2 * WORKLOAD_MS),
    }),
  );
  const junk = Array.from(
    { length: dice.isHit(0.4) ? dice.between(1, 2) : 0 },
    (_, index): PlannedJunk => ({
      atMs: dice.below(WORKLOAD_MS),
      body: dice.pick(['', 'no JSON', `{"to":"${index}"}`]) ?? '',
      messageId: dice.isHit(0.5) ? `junk-${index}` : undefined,
    }),
  );
  return { sms: [...sms, ...doubles], junk };
}

function drawFaults(
  dice: Dice,
  horizonMs: number,
  intensity: number,
): Pick<Scenario, 'rates' | 'interventions' | 'deathsAtCall'> {
  const sometimes = (chance: number, largest: number) =>
    dice.isHit(chance * intensity) ? dice.roll() * largest : 0;
  const rates: FaultRates = {
    publishLost: sometimes(0.3, 0.2),
    confirmLost: sometimes(0.3, 0.2),
    refused: sometimes(0.3, 0.2),
    replyLost: sometimes(0.3, 0.2),
    late: sometimes(0.2, 0.1 * intensity),
    reordered: sometimes(0.4, 0.5),
    deadLetteredTwice: sometimes(0.2, 0.2),
  };
  // What happens within the same two seconds meets more often than what is spread.
  const worstMs = dice.below(Math.min(horizonMs, 2 * WORKLOAD_MS));
  const isAtOnce = dice.isHit(0.3 * intensity);
  const interventions = drawInterventions(dice, intensity).map((what) => ({
    atMs: isAtOnce ? worstMs + dice.below(2_000) : dice.below(horizonMs),
    what,
  }));
  const deathsAtCall = dice.isHit(0.4 * intensity)
    ? Array.from({ length: dice.between(1, 3) }, () => dice.between(1, 60))
    : [];
  return { rates, interventions, deathsAtCall };
}

function drawInterventions(dice: Dice, intensity: number): Intervention[] {
  const some = (chance: number, largest: number, make: () => Intervention) =>
    dice.isHit(chance * intensity) ? Array.from({ length: dice.between(1, largest) }, make) : [];
  return [
    ...some(0.3, 3, () => ({ kind: 'crash' })),
    ...some(0.25, 2, () => ({
      kind: 'freeze',
      durationMs: dice.between(1_000, 30_000),
      losesChannels: dice.isHit(0.5),
    })),
    ...some(0.25, 2, () => ({ kind: 'drain', timeoutMs: dice.between(100, 20_000) })),
    ...some(0.3, 4, () => ({ kind: 'break channels' })),
    ...some(0.2, 2, () => ({ kind: 'lose Redis', isRestart: dice.isHit(0.3) })),
    ...some(0.15, 2, () => ({
      kind: 'outage',
      store: dice.isHit(0.5) ? 'S3' : 'Redis',
      durationMs: dice.between(500, 90_000),
    })),
    ...some(0.15, 2, () => ({ kind: 'step clock', byMs: dice.between(-8_000, 8_000) })),
    ...some(0.3, 1, () => ({ kind: 'start process' })),
  ];
}
