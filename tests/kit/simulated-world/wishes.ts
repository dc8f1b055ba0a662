/** What is wished of the SMS of a world, the rules of its senders, and what people and carrier do meanwhile. */
import type { SendingRules } from '../../../shared/domain/schedule/retry-schedule.ts';
import { parseSendingWindow, type SendingWindow } from '../../../shared/domain/schedule/sending-window.ts';
import type { SendingWishes } from '../../../shared/domain/sms/envelope.ts';
import { PRIORITIES } from '../../../shared/domain/sms/sms.ts';
import type { Dice } from '../../../shared/rehearsal/dice.ts';
import { WORLD_BEGAN_AT_MS } from '../../../shared/rehearsal/simulated-process.ts';
import type { PlannedSms } from '../../../shared/rehearsal/world.ts';

/** What people decide about an SMS while it waits. All processes know it at that moment. */
export interface PlannedDirective {
  readonly atMs: number;
  readonly smsId: string;
  /** The attempt that does not wait for its time. Undefined: the SMS is cancelled. */
  readonly sentNowAttempt: number | undefined;
}

/** A carrier that takes nothing now and then. */
export interface Throttling {
  /** Share of the requests that it does not take. */
  readonly share: number;
  /** For how long it takes nothing, where it says so. */
  readonly longestMs: number;
  readonly endsAtMs: number;
}

export interface WishedWorld {
  readonly rules: Omit<SendingRules, 'schedule'>;
  readonly unknownShare: number;
  readonly sms: readonly PlannedSms[];
  readonly directives: readonly PlannedDirective[];
  readonly throttling: Throttling | undefined;
  /** How far the clocks of the first processes are ahead or (negative) behind from the start. */
  readonly clockOffsetsMs: readonly number[];
}

// Worlds begin at ten o'clock: closed at first, for longer, later for a minute, or open all the time that it takes.
const WINDOWS = ['10:01-10:00', '10:02-09:00', '10:02-10:01', '08:00-21:00'].map(
  (hours) => (parseSendingWindow(`${hours} UTC`) as { readonly window: SendingWindow }).window,
);
/** As far as the clock of a sender may be behind where nothing is sent after an SMS has expired. */
export const MAX_BEHIND_MS = 1_000;

/** @param sms without wishes */
export function drawWishes(dice: Dice, sms: readonly PlannedSms[]): WishedWorld {
  const maybe = <Value>(chance: number, draw: () => Value) => (dice.isHit(chance) ? draw() : undefined);
  if (dice.isHit(0.3))
    return { rules: {}, unknownShare: 0, sms, directives: [], throttling: undefined, clockOffsetsMs: [] };
  const wishing = dice.oneOf([0, 0.4, 0.8]);
  const wishes = new Map(sms.map(({ id, atMs }) => [id, drawWishesOfOne(dice, atMs, wishing)]));
  return {
    rules: {
      anchor: dice.oneOf(['failure', 'failure', 'accepted'] as const),
      window: maybe(0.2, () => dice.oneOf(WINDOWS)),
      unknownResult: dice.oneOf(['retry', 'give-up'] as const),
    },
    unknownShare: dice.oneOf([0, 0.1, 0.4]),
    sms: sms.map((each) => ({ ...each, wishes: wishes.get(each.id) ?? {} })),
    directives: dice.isHit(0.3)
      ? sms.filter(() => dice.isHit(0.4)).map((each) => drawDirective(dice, each))
      : [],
    throttling: maybe(0.35, () => ({
      share: dice.oneOf([0.1, 0.3, 0.6]),
      longestMs: dice.oneOf([500, 5_000, 40_000]),
      endsAtMs: dice.between(2_000, 20_000),
    })),
    clockOffsetsMs: dice.isHit(0.5) ? [1, 2, 3].map(() => dice.between(-MAX_BEHIND_MS, MAX_BEHIND_MS)) : [],
  };
}

function drawWishesOfOne(dice: Dice, acceptedMs: number, wishing: number): SendingWishes {
  const fromMs = WORLD_BEGAN_AT_MS + acceptedMs;
  const aheadMs = dice.between(-3_000, dice.oneOf([0, 900, 6_000, 70_000]));
  const validMs = dice.between(500, dice.oneOf([3_000, 10_000, 90_000]));
  return {
    ...(dice.isHit(wishing) ? { notBeforeMs: fromMs + aheadMs } : {}),
    ...(dice.isHit(wishing)
      ? { expiresAtMs: fromMs + validMs + Math.max(0, dice.pick([0, aheadMs]) ?? 0) }
      : {}),
    ...(dice.isHit(wishing) ? { priority: dice.oneOf(PRIORITIES) } : {}),
  };
}

function drawDirective(dice: Dice, { id, atMs }: PlannedSms): PlannedDirective {
  return {
    atMs: atMs + dice.below(dice.oneOf([500, 5_000, 30_000])),
    smsId: id,
    sentNowAttempt: dice.isHit(0.5) ? dice.between(1, 3) : undefined,
  };
}
