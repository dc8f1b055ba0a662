/**
 * The simulated carrier: what happens in an attempt is a pure function of (seed, SMS id, attempt).
 * Whoever repeats an attempt, whenever, gets the same answer, so the outcome of a whole run is known before it
 * starts and no crash can change it.
 */
import type { GatewayResult } from './attempt.ts';
import { mixBits } from './mix-bits.ts';

export const PROCESSING_TIME_DISTRIBUTIONS = ['exponential', 'lognormal', 'constant'] as const;
export type ProcessingTimeDistribution = (typeof PROCESSING_TIME_DISTRIBUTIONS)[number];

export interface SimulationSettings {
  readonly seed: number;
  readonly meanProcessingMs: number;
  readonly distribution: ProcessingTimeDistribution;
  /** Probability per attempt, 0 to 1. */
  readonly failureRate: number;
  /** Share of the failures that are permanent, 0 to 1. */
  readonly permanentFailureShare: number;
}

export interface SimulatedAttempt {
  readonly processingMs: number;
  readonly result: GatewayResult;
}

/** What carriers report for a while, and what they report for good. */
export const TEMPORARY_REASONS = [
  'throttled',
  'carrier unavailable',
  'timeout',
  'handset unreachable',
] as const;
export const PERMANENT_REASONS = ['unknown subscriber', 'blocked'] as const;

// Spread of the lognormal distribution: about what mobile carriers show, p99 near 3.4 times the mean.
const LOGNORMAL_SIGMA = 0.7;

/** What this attempt of this SMS takes and gives. */
export function simulateAttempt(
  settings: SimulationSettings,
  smsId: string,
  attempt: number,
): SimulatedAttempt {
  const draw = uniformDraws(settings.seed, smsId, attempt);
  const processingMs = drawProcessingMs(settings, draw);
  if (draw() >= settings.failureRate) return { processingMs, result: { kind: 'sent' } };
  const isPermanent = draw() < settings.permanentFailureShare;
  const reasons = isPermanent ? PERMANENT_REASONS : TEMPORARY_REASONS;
  const reason = reasons[Math.floor(draw() * reasons.length)] ?? reasons[0];
  return { processingMs, result: { kind: 'failed', reason, isPermanent } };
}

// Each branch takes two draws, so that another distribution changes no result, only the time it takes.
function drawProcessingMs(settings: SimulationSettings, draw: () => number): number {
  const [first, second] = [draw(), draw()];
  const { meanProcessingMs } = settings;
  switch (settings.distribution) {
    case 'constant':
      return meanProcessingMs;
    case 'exponential':
      return -meanProcessingMs * Math.log(1 - first);
    case 'lognormal': {
      const normal = Math.sqrt(-2 * Math.log(1 - first)) * Math.cos(2 * Math.PI * second);
      return meanProcessingMs * Math.exp(LOGNORMAL_SIGMA * normal - LOGNORMAL_SIGMA ** 2 / 2);
    }
  }
}

/** Uniform numbers in [0, 1), a stream of its own for each (seed, id, attempt): hash as state, sfc32 as generator. */
function uniformDraws(seed: number, smsId: string, attempt: number): () => number {
  let a = mixBits(0x9e3779b9 ^ (seed >>> 0));
  let b = mixBits(0x85ebca6b ^ Math.floor(seed / 2 ** 32));
  for (let index = 0; index < smsId.length; index += 1) {
    const code = smsId.charCodeAt(index);
    a = Math.imul(a ^ code, 0x01000193);
    b = Math.imul(b ^ code, 0x5bd1e995) ^ (b >>> 15);
  }
  a = mixBits(a ^ smsId.length);
  b = mixBits(b ^ attempt);
  let c = mixBits(a ^ Math.imul(attempt, 0xc2b2ae35));
  let counter = 1;
  const next = () => {
    const sum = (a + b + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (c << 21) | (c >>> 11);
    c = (c + sum) | 0;
    return (sum >>> 0) / 2 ** 32;
  };
  for (let round = 0; round < 10; round += 1) next();
  return next;
}
