/** What happens in the world of a seed: the SMS, the settings and the faults, all drawn before it begins. */
import { smsIdOf } from '../../../shared/domain/sms/sms.ts';
import { Dice } from '../../../shared/rehearsal/dice.ts';
import { type FaultRates, NO_FAULTS } from '../../../shared/rehearsal/network.ts';
import type { PlannedSms, Rehearsal } from '../../../shared/rehearsal/world.ts';
import { drawTroubleOfOne, drawTroubles, type Trouble } from './troubles.ts';
import { drawWishes, type PlannedDirective, type Throttling } from './wishes.ts';

export interface PlannedJunk {
  readonly atMs: number;
  readonly body: string;
  readonly messageId: string | undefined;
}

/** An intervention at a moment. The process it hits is drawn among the living ones. */
export type Intervention =
  | { readonly kind: 'crash' }
  | { readonly kind: 'freeze'; readonly durationMs: number; readonly losesChannels: boolean }
  | { readonly kind: 'drain'; readonly timeoutMs: number }
  | { readonly kind: 'break channels' }
  | { readonly kind: 'lose Redis'; readonly isRestart: boolean }
  | { readonly kind: 'outage'; readonly store: 'S3' | 'Redis'; readonly durationMs: number }
  | { readonly kind: 'step clock'; readonly byMs: number }
  | { readonly kind: 'start process' };

/** A rehearsal and what goes wrong in it. */
export interface Scenario extends Rehearsal {
  readonly junk: readonly PlannedJunk[];
  readonly interventions: readonly { readonly atMs: number; readonly what: Intervention }[];
  readonly troubles: readonly Trouble[];
  /** When a journal message comes that looks readable and cannot be recorded. */
  readonly poisonAtMs: readonly number[];
  /** Processes die at the call with that number, one after the other. */
  readonly deathsAtCall: readonly number[];
  readonly directives: readonly PlannedDirective[];
  readonly throttling: Throttling | undefined;
  /** Recorders publish outcome events. */
  readonly hasEvents: boolean;
  /** When all faults end: no process is frozen any more, and at least one lives. */
  readonly healAtMs: number;
}

const WAITS_MS = [500, 1_000, 2_000, 5_000, 10_000];
const WORKLOAD_MS = 5_000;

export function scenarioOf(seed: number): Scenario {
  const dice = new Dice(seed * 2_654_435_761);
  const isFaultFree = dice.isHit(0.15);
  // Dice of their own: a world without troubles stays the one it was before there were any.
  const troubles = drawTroublesOf(new Dice(seed * 2_246_822_519), isFaultFree);
  const horizonMs = dice.oneOf([6_000, 12_000, 40_000]);
  // In some worlds much goes wrong at once: what is exact under one fault may not be under three.
  const intensity = dice.isHit(0.3) ? 2.5 : 1;
  const faults = isFaultFree
    ? { rates: NO_FAULTS, interventions: [], deathsAtCall: [] }
    : drawFaults(dice, horizonMs, intensity);
  const scenario = {
    seed,
    hasEvents: seed % 2 === 0,
    schedule: Array.from({ length: dice.below(4) }, () => dice.oneOf(WAITS_MS)),
    simulation: {
      seed,
      meanProcessingMs: dice.oneOf([0, 20, 200, 1_000]),
      distribution: dice.oneOf(['exponential', 'constant'] as const),
      failureRate: dice.oneOf([0.1, 0.5, 0.9]),
      permanentFailureShare: dice.oneOf([0, 0.2]),
    },
    processCount: Math.max(dice.between(1, 3), isFaultFree && troubles.length > 0 ? 2 : 1),
    process: {
      concurrency: dice.between(1, 4),
      prefetchCount: dice.between(1, 6),
      journalBytes: dice.oneOf([400, 1_500, 10_000]),
      windowSize: dice.between(1, 6),
      batchSize: dice.between(1, 5),
      batchMs: dice.oneOf([300, 1_000, 4_000]),
    },
    ...drawWorkload(dice, intensity),
    maxTravelMs: dice.oneOf([3, 20, 150, 1_000]),
    maxLateMs: dice.oneOf([1_000, 4_000, 30_000]),
    ...faults,
    troubles,
    poisonAtMs: drawPoison(new Dice(seed * 3_266_489_917), isFaultFree),
    healAtMs: isFaultFree && troubles.length === 0 ? 0 : horizonMs,
  };
  const { rules, unknownShare, ...wished } = drawWishes(new Dice(seed * 668_265_263), scenario.sms);
  return { ...scenario, ...rules, ...wished, simulation: { ...scenario.simulation, unknownShare } };
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
    const run = dice.oneOf(runs);
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
      body: dice.oneOf(['', 'no JSON', `{"to":"${index}"}`]),
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
