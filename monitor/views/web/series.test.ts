import { describe, expect, it } from 'vitest';
import { type HistorySample, MAX_REASONS, sampleOf } from '../../../shared/domain/history.ts';
import { GOING_WELL } from '../../../tests/kit/snapshots.ts';
import { count, duration, moment, rate } from './page/figures.js';
import { failuresByReason, ratesOf, Series, stacked, waitingByQueue } from './page/series.js';

const START_MS = Date.parse(GOING_WELL.at);
const sample = (seconds: number, more: Partial<HistorySample> = {}): HistorySample => ({
  ...sampleOf(GOING_WELL),
  at: START_MS + seconds * 1_000,
  ...more,
});

const sentOf = ({ sent }: HistorySample) => sent;

describe('a rate', () => {
  it('is that of the last 5 s', () => {
    const samples = [0, 1, 2, 3, 4, 5, 6, 7].map((second) => sample(second, { sent: second * 10 }));
    expect(ratesOf(samples, sentOf)).toEqual([null, 10, 10, 10, 10, 10, 10, 10]);
    const burst = [0, 5, 6, 10].map((second) => sample(second, { sent: second < 6 ? 0 : 50 }));
    expect(ratesOf(burst, sentOf)).toEqual([null, 0, 50 / 6, 10]);
  });

  it('is not known over a gap, after a number was lost, and where nobody knows the number', () => {
    const samples = [
      sample(0, { sent: 100 }),
      sample(60, { sent: 900 }),
      sample(65, { sent: null }),
      sample(70, { sent: 3 }),
    ];
    expect(ratesOf(samples, sentOf)).toEqual([null, null, null, null]);
    expect(ratesOf([sample(0, { sent: 9 }), sample(5, { sent: 3 })], sentOf)).toEqual([null, null]);
  });
});

describe('the samples of a page', () => {
  it('are put in order, each once, whichever way they came', () => {
    const series = new Series();
    series.add(sample(20));
    series.merge([sample(10), sample(20), sample(15)]);
    series.add(sample(21));
    expect(series.samples.map(({ at }) => (at - START_MS) / 1_000)).toEqual([10, 15, 20, 21]);
  });

  it('are at most an hour old, and older ones fewer: memory is bounded, however long a page is open', () => {
    const series = new Series();
    for (let second = 0; second < 10_000; second += 1) series.add(sample(second));
    const [first] = series.samples;
    expect(series.newest?.at).toBe(START_MS + 9_999_000);
    expect((series.newest?.at ?? 0) - (first?.at ?? 0)).toBeLessThanOrEqual(3_600_000);
    expect(series.samples.length).toBeLessThan(1_700);
    expect(series.within(300).length).toBeLessThanOrEqual(311);
  });

  it('begin anew where the clock was set back', () => {
    const series = new Series();
    for (const second of [0, 1, 100]) series.add(sample(second));
    series.add(sample(50));
    expect(series.samples.map(({ at }) => (at - START_MS) / 1_000)).toEqual([0, 1, 50]);
  });
});

it('queues that wait are told in the order of the ladder, and stand on one another', () => {
  const samples = [
    sample(0, { retry: [[2, 30, 5]] }),
    sample(5, {
      retry: [
        [1, 5, 7],
        [2, 30, 1],
      ],
    }),
  ];
  const queues = waitingByQueue(samples);
  expect(queues).toEqual([
    { attempt: 1, delaySeconds: 5, messages: [0, 7] },
    { attempt: 2, delaySeconds: 30, messages: [5, 1] },
  ]);
  expect(stacked(queues.map(({ messages }) => messages))).toEqual([
    [0, 7],
    [5, 8],
  ]);
});

describe('figures', () => {
  it('are a dash where nothing is known, and never 0', () => {
    for (const show of [count, rate, duration]) expect([show(null), show(undefined)]).toEqual(['–', '–']);
    expect([count(0), rate(0), duration(0)]).toEqual(['0', '0.0', '0 ms']);
  });

  it('are short and grouped', () => {
    expect([count(1_234_567), rate(95.23), rate(1_234.5)]).toEqual(['1,234,567', '95.2', '1,235']);
    expect([0.031, 0.35, 12.4, 300, 10_800].map(duration)).toEqual([
      '31 ms',
      '0.35 s',
      '12 s',
      '5 min',
      '3 h',
    ]);
    expect(moment('2026-11-22T10:00:00.000Z', Date.parse('2026-11-25T10:00:00.000Z'))).toMatch(
      /^2026-11-22 /,
    );
  });
});

describe('failures by reason', () => {
  const failed = (seconds: number, ...reasons: [string, number][]) =>
    sample(seconds, { failed: reasons.reduce((sum, [, count]) => sum + count, 0), reasons });

  it('are per second, the most frequent reason first, and add up to all that failed', () => {
    const samples = [
      failed(0, ['timeout', 10]),
      failed(5, ['timeout', 20], ['busy', 5]),
      failed(10, ['busy', 55], ['timeout', 30]),
    ];
    expect(failuresByReason(samples)).toEqual([
      { reason: 'busy', perSecond: [null, 1, 10] },
      { reason: 'timeout', perSecond: [null, 2, 2] },
    ]);
  });

  it('beyond the five most frequent ones are told together', () => {
    const many = (each: number): [string, number][] =>
      Array.from({ length: MAX_REASONS }, (_, index) => [`reason ${index}`, each]);
    const lines = failuresByReason([
      sample(0, { failed: 60, reasons: many(10) }),
      sample(5, { failed: 200, reasons: many(20) }),
    ]);
    expect(lines.map(({ reason }) => reason)).toEqual([
      ...['reason 0', 'reason 1', 'reason 2', 'reason 3', 'reason 4', 'others'],
    ]);
    expect(lines.map(({ perSecond }) => perSecond[1])).toEqual([2, 2, 2, 2, 2, 18]);
  });

  it('are not known where a sample does not tell the reason', () => {
    const full = Array.from({ length: MAX_REASONS }, (_, index): [string, number] => [`r${index}`, 9]);
    const lines = failuresByReason([
      sample(0, { failed: 60, reasons: full }),
      sample(5, { failed: 80, reasons: [['new', 12], ...full.slice(1)] }),
    ]);
    expect(lines[0]).toEqual({ reason: 'new', perSecond: [null, null] });
    const old = failuresByReason([sample(0, { reasons: null }), failed(5, ['timeout', 3])]);
    expect(old).toEqual([{ reason: 'timeout', perSecond: [null, null] }]);
  });
});
