/**
 * The simulated carrier: what happens in an attempt is a pure function of (seed, SMS id, attempt). An attempt that is repeated,
 * by any process at any time, gets the same answer. So the outcome of a whole run is known before the run starts, and no
 * crash can change it.
 */

import { mixBits } from '../mix-bits.ts';
import type { AttemptResult } from '../outcome/attempt.ts';

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
  /** Share of all attempts without a clear answer, 0 to 1; by default 0. */
  readonly unknownShare?: number;
}

export interface SimulatedAttempt {
  readonly processingMs: number;
  readonly result: AttemptResult;
}

/** Reasons of failures that pass, and of failures that stay. */
export const TEMPORARY_REASONS = [
  'carrier busy',
  'carrier unavailable',
  'timeout',
  'handset unreachable',
] as const;
export const PERMANENT_REASONS = ['unknown subscriber', 'blocked'] as const;

const SENT: AttemptResult = { kind: 'sent' };
const UNKNOWN: AttemptResult = { kind: 'unknown', reason: 'no clear answer' };

// The spread of the lognormal distribution is about that of mobile carriers: p99 is near 3.4 times the mean.
const LOGNORMAL_SIGMA = 0.7;

/** How long the attempt takes, and its result. */
export function simulateAttempt(
  settings: SimulationSettings,
  smsId: string,
  attempt: number,
): SimulatedAttempt {
  const { unknownShare = 0 } = settings;
  const draw = uniformDraws(settings.seed, smsId, attempt);
  const processingMs = drawProcessingMs(settings, draw);
  const result = drawResult(settings, draw);
  // The last draw, so that the share changes no other result.
  const isUnknown = unknownShare > 0 && draw() < unknownShare;
  return { processingMs, result: isUnknown ? UNKNOWN : result };
}

function drawResult(settings: SimulationSettings, draw: () => number): AttemptResult {
  if (draw() >= settings.failureRate) return SENT;
  const isPermanent = draw() < settings.permanentFailureShare;
  const reasons = isPermanent ? PERMANENT_REASONS : TEMPORARY_REASONS;
  const reason = reasons[Math.floor(draw() * reasons.length)] ?? reasons[0];
  return { kind: 'failed', reason, isPermanent };
}

// Each branch takes two draws. So another distribution changes no result, only the time.
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

/** Uniform numbers in [0, 1), another stream for each (seed, id, attempt): a hash is the state, sfc32 the generator. */
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
