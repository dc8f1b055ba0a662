import { describe, expect, test } from 'vitest';
import { isAttemptRecord } from '../outcome/attempt.ts';
import { smsIdOf } from '../sms/sms.ts';
import {
  PERMANENT_REASONS,
  PROCESSING_TIME_DISTRIBUTIONS,
  type SimulatedAttempt,
  type SimulationSettings,
  simulateAttempt,
  TEMPORARY_REASONS,
} from './simulation.ts';

const SMS_COUNT = 10_000;
const SEEDS = [0, 1, 2, 2 ** 32, 2 ** 53 - 1];
const settings: SimulationSettings = {
  seed: 1,
  meanProcessingMs: 500,
  distribution: 'exponential',
  failureRate: 0.2,
  permanentFailureShare: 0.25,
};

function simulateRun(
  change: Partial<SimulationSettings> = {},
  attempt = 1,
  run = 'demo',
): SimulatedAttempt[] {
  return Array.from({ length: SMS_COUNT }, (_, index) =>
    simulateAttempt({ ...settings, ...change }, smsIdOf(run, index + 1), attempt),
  );
}

const hasFailed = ({ result }: SimulatedAttempt) => result.kind === 'failed';
const isPermanent = ({ result }: SimulatedAttempt) => result.kind === 'failed' && result.isPermanent;
const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
const timesOf = (run: readonly SimulatedAttempt[]) => run.map(({ processingMs }) => processingMs);
const failuresOf = (run: readonly SimulatedAttempt[]) => run.map((attempt) => Number(hasFailed(attempt)));

/** Within three standard errors of the expected share. */
function expectShare(found: number, count: number, expected: number): void {
  const standardError = Math.sqrt((expected * (1 - expected)) / count);
  expect(Math.abs(found / count - expected)).toBeLessThanOrEqual(3 * standardError);
}

/** Of two independent series it is within four standard errors of 0, but for 1 in 15,000. */
function correlation(left: readonly number[], right: readonly number[]): number {
  const [meanLeft, meanRight] = [mean(left), mean(right)];
  const products = left.map((value, index) => (value - meanLeft) * ((right[index] ?? 0) - meanRight));
  const spread = (values: readonly number[], middle: number) =>
    Math.sqrt(mean(values.map((value) => (value - middle) ** 2)));
  return mean(products) / (spread(left, meanLeft) * spread(right, meanRight));
}
const INDEPENDENT = 4 / Math.sqrt(SMS_COUNT);

describe('the simulated carrier', () => {
  test('answers the same to the same question, whoever asks, whenever, in whatever order', () => {
    const inOrder = simulateRun();
    const backwards = Array.from({ length: SMS_COUNT }, (_, index) => {
      simulateAttempt({ ...settings, seed: 99 }, 'another', 1);
      return simulateAttempt({ ...settings }, smsIdOf('demo', SMS_COUNT - index), 1);
    });
    expect(backwards.reverse()).toEqual(inOrder);
  });

  // Changing this changes the outcome of every run that anybody has noted down.
  test('answers today what it answered yesterday', () => {
    expect(simulateAttempt(settings, 'demo-000001', 1)).toMatchInlineSnapshot(`
      {
        "processingMs": 143.21062187186587,
        "result": {
          "kind": "sent",
        },
      }
    `);
    expect(simulateAttempt({ ...settings, failureRate: 1 }, 'demo-000002', 3)).toMatchInlineSnapshot(`
      {
        "processingMs": 255.21274825584817,
        "result": {
          "isPermanent": false,
          "kind": "failed",
          "reason": "timeout",
        },
      }
    `);
  });

  test.each(
    PROCESSING_TIME_DISTRIBUTIONS.flatMap((distribution) => SEEDS.map((seed) => ({ distribution, seed }))),
  )('takes the mean time it was told: $distribution, seed $seed', (change) => {
    const times = timesOf(simulateRun(change));
    expect(Math.abs(mean(times) / 500 - 1)).toBeLessThan(0.03);
    expect(times.filter((time) => !Number.isFinite(time) || time < 0)).toEqual([]);
  });

  test('spreads its times as the distribution says', () => {
    const [exponential, lognormal, constant] = PROCESSING_TIME_DISTRIBUTIONS.map((distribution) =>
      timesOf(simulateRun({ distribution })),
    ) as [number[], number[], number[]];
    const shareAbove = (times: readonly number[], limitMs: number) =>
      times.filter((time) => time > limitMs).length;
    expectShare(shareAbove(exponential, 500 * Math.LN2), SMS_COUNT, 0.5);
    expectShare(shareAbove(exponential, 500 * Math.log(100)), SMS_COUNT, 0.01);
    // The median of a lognormal distribution lies at mean × e^(−σ²/2), σ = 0.7.
    expectShare(shareAbove(lognormal, 500 * Math.exp(-0.245)), SMS_COUNT, 0.5);
    expect(new Set(constant)).toEqual(new Set([500]));
  });

  test.each(SEEDS)('fails the share it was told, and for good the share of those: seed %i', (seed) => {
    const run = simulateRun({ seed });
    const failures = run.filter(hasFailed);
    expectShare(failures.length, SMS_COUNT, 0.2);
    expectShare(failures.filter(isPermanent).length, failures.length, 0.25);
  });

  test.each([
    [0, 0],
    [1, SMS_COUNT],
  ])('with a failure rate of %i fails %i of 10,000', (failureRate, count) => {
    expect(simulateRun({ failureRate }).filter(hasFailed)).toHaveLength(count);
  });

  test('gives every reason it knows, permanent ones for permanent failures only', () => {
    const reasonsOf = (run: readonly SimulatedAttempt[]) =>
      new Set(run.map(({ result }) => (result.kind === 'failed' ? result.reason : '')));
    const failures = simulateRun().filter(hasFailed);
    expect(reasonsOf(failures.filter(isPermanent))).toEqual(new Set(PERMANENT_REASONS));
    expect(reasonsOf(failures.filter((attempt) => !isPermanent(attempt)))).toEqual(
      new Set(TEMPORARY_REASONS),
    );
  });

  test('has reasons that an attempt record may hold', () => {
    for (const reason of [...PERMANENT_REASONS, ...TEMPORARY_REASONS]) {
      const record = {
        attempt: 1,
        startedAt: '2026-11-22T10:00:00.000Z',
        tookMs: 1,
        result: 'failed',
        reason,
      };
      expect(isAttemptRecord(record)).toBe(true);
    }
  });

  test('fails the same SMS whatever the distribution of times', () => {
    const [first, ...others] = PROCESSING_TIME_DISTRIBUTIONS.map((distribution) =>
      failuresOf(simulateRun({ distribution })),
    );
    for (const other of others) expect(other).toEqual(first);
  });
});

describe('knowing one thing tells nothing about another', () => {
  const run = simulateRun();
  test.each([
    ['the next attempt', simulateRun({}, 2)],
    ['the attempt after', simulateRun({}, 3)],
    ['another seed', simulateRun({ seed: 2 })],
    ['a seed that differs beyond 32 bits', simulateRun({ seed: 1 + 2 ** 32 })],
    ['another run', simulateRun({}, 1, 'demo2')],
    ['the SMS after it', [...run.slice(1), ...run.slice(0, 1)]],
  ])('%s', (_, other) => {
    expect(Math.abs(correlation(timesOf(run), timesOf(other)))).toBeLessThan(INDEPENDENT);
    expect(Math.abs(correlation(failuresOf(run), failuresOf(other)))).toBeLessThan(INDEPENDENT);
  });

  test('the time an attempt takes and whether it fails', () => {
    expect(Math.abs(correlation(timesOf(run), failuresOf(run)))).toBeLessThan(INDEPENDENT);
  });
});
